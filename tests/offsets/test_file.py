"""Tests of `pglogical_cdc.offsets.file`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pglogical_cdc.errors import ConfigurationError, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import FileOffsets, Offset

OFFSET: Final = Offset("7301234567890123456", 3, "shop", LSN(0x16B3748), LSN(0x16B3700))
LINE: Final = (
    b'{"version":1,"system_identifier":"7301234567890123456","timeline":3,"slot":"shop",'
    b'"position":"0/16B3748","transaction_end":"0/16B3700"}\n'
)

lsns = st.integers(0, 2**64 - 1).map(LSN)


def at(position: int) -> Offset:
    return Offset("7", 1, "shop", LSN(position), LSN(position))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "offset.json"


def run(code: str, *arguments: object) -> str:
    """Run Python in a process of its own and give what it prints."""
    command = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


PREAMBLE: Final = """
import os, resource, sys
from pglogical_cdc import LSN, FileOffsets, Offset, OffsetStoreError
def at(position):
    return Offset("7", 1, "shop", LSN(position), LSN(position))
"""


# -- saving and loading


def test_what_is_in_the_file(path: Path) -> None:
    store = FileOffsets(path)
    assert store.load("shop") is None
    store.save("shop", OFFSET)
    assert path.read_bytes() == LINE
    assert FileOffsets(str(path)).load("shop") == OFFSET
    assert os.listdir(path.parent) == [path.name]


@given(
    offset=st.builds(
        Offset,
        st.integers(0, 2**64 - 1).map(str),
        st.integers(1, 2**32 - 1),
        st.just("shop"),
        lsns,
        lsns,
    )
)
def test_what_is_saved_is_loaded(offset: Offset, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = FileOffsets(tmp_path_factory.getbasetemp() / "any.json")
    store.save("shop", offset)
    assert store.load("shop") == offset


def test_it_may_be_written_by_hand(path: Path) -> None:
    path.write_text(json.dumps(dict(reversed(json.loads(LINE).items())), indent=4))
    assert FileOffsets(path).load("shop") == OFFSET


@pytest.mark.parametrize("umask", [0, 0o777])
def test_it_is_private_whatever_the_umask(path: Path, umask: int) -> None:
    path.write_bytes(LINE)
    path.chmod(0o644)
    before = os.umask(umask)
    try:
        FileOffsets(path).save("shop", OFFSET)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_stays_the_same_when_the_process_goes_elsewhere(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    store = FileOffsets(path.name)
    monkeypatch.chdir("/")
    store.save("shop", OFFSET)
    assert path.exists()
    assert repr(store) == f"<FileOffsets '{path}'>"


@pytest.mark.parametrize("text", ["", "/", ".", "folder/", "folder/.", "a\0b"])
def test_what_is_no_path_of_a_file(text: str) -> None:
    with pytest.raises(ConfigurationError, match="path of a file"):
        FileOffsets(text)


def test_the_key_must_be_the_slot(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not the slot of the offset"):
        FileOffsets(path).save("other", OFFSET)
    assert not path.exists()


def test_the_file_of_another_slot_stays(path: Path) -> None:
    path.write_bytes(LINE)
    store = FileOffsets(path)
    other = Offset("7", 1, "other", LSN(5))
    with pytest.raises(OffsetStoreError, match=r"that of slot 'shop', not of 'other'"):
        store.load("other")
    with pytest.raises(OffsetStoreError, match=r"that of slot 'shop', not of 'other'"):
        store.save("other", other)
    assert path.read_bytes() == LINE


def test_two_threads_and_a_reader(path: Path) -> None:
    store = FileOffsets(path)
    store.save("shop", at(1))
    running = [True, True]
    faults: list[BaseException] = []

    def save(number: int) -> None:
        try:
            for position in range(1, 100):
                store.save("shop", at(position))
        except BaseException as error:
            faults.append(error)
        finally:
            running[number] = False

    threads = [threading.Thread(target=save, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    while any(running):
        assert store.load("shop") is not None
    for thread in threads:
        thread.join()
    assert faults == []
    assert store.load("shop") == at(99)
    assert os.listdir(path.parent) == [path.name]


# -- crashes and lack of room


def test_a_killed_process_leaves_a_whole_file_with_all_that_it_was_promised(path: Path) -> None:
    code = """
store = FileOffsets(sys.argv[1])
position = 1
while True:
    store.save("shop", at(position))
    os.write(1, b"%d\\n" % position)
    position += 1
"""
    for pause in (0.0, 0.011, 0.037):
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code, str(path)], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(pause)
            process.kill()
            promised = (first + process.stdout.read()).splitlines()
        offset = FileOffsets(path).load("shop")
        assert offset is not None
        # The last save may have happened without being told.
        assert offset.position - int(promised[-1]) in (0, 1)
        assert offset == at(offset.position)


@pytest.mark.parametrize("before", [LINE, None])
def test_no_room(path: Path, before: bytes | None) -> None:
    if before is not None:
        path.write_bytes(before)
    code = """
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    FileOffsets(sys.argv[1]).save("shop", at(5))
except OffsetStoreError as error:
    print(error)
"""
    assert run(code, path) == f"cannot write the offset file {path}: File too large"
    assert os.listdir(path.parent) == ([] if before is None else [path.name])
    if before is not None:
        assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written() -> None:
    code = """
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
store = FileOffsets(sys.argv[1])
print(store.load("shop"))
try:
    store.save("shop", at(5))
except OffsetStoreError as error:
    print(error)
"""
    # Not in tmp_path, which other users cannot enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        path = Path(folder, "offset.json")
        assert run(code, path).splitlines() == [
            "None",
            f"cannot write the offset file {path}: Permission denied",
        ]


def test_a_folder_that_is_not_there_is_not_a_file_that_is_not_there(tmp_path: Path) -> None:
    store = FileOffsets(tmp_path / "not mounted" / "offset.json")
    with pytest.raises(OffsetStoreError, match=r"not mounted/offset\.json does not exist"):
        store.load("shop")
    with pytest.raises(OffsetStoreError, match=r"not mounted/offset\.json does not exist"):
        store.save("shop", OFFSET)
    (tmp_path / "file").touch()
    with pytest.raises(OffsetStoreError, match="Not a directory"):
        FileOffsets(tmp_path / "file" / "offset.json").load("shop")


# -- what is there but is no offset


def refused(path: Path) -> str:
    """Check that the file is neither read nor replaced, and give the reason."""
    store = FileOffsets(path)
    with pytest.raises(OffsetStoreError, match="move it away to start") as caught:
        store.load("shop")
    with pytest.raises(OffsetStoreError) as again:
        store.save("shop", OFFSET)
    assert str(again.value) == str(caught.value)
    # An error of the parser would hold all that it was to parse.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert str(path) in str(caught.value)
    assert os.listdir(path.parent) == [path.name]
    return str(caught.value).partition("expected ")[2].partition(". It is left")[0]


def test_a_symbolic_link_is_not_followed(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "target"
    path.symlink_to(target)
    assert refused(path) == "a regular file, found a symbolic link"
    assert not target.exists()
    target.write_bytes(LINE)
    assert refused(path) == "a regular file, found a symbolic link"
    assert target.read_bytes() == LINE
    assert path.is_symlink()


def test_a_directory_and_a_pipe_are_no_files(path: Path) -> None:
    path.mkdir()
    assert refused(path) == "a regular file, found a directory"
    path.rmdir()
    os.mkfifo(path)
    assert refused(path) == "a regular file, found a device, pipe or socket"


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(LINE), **members}).encode()


def without(name: str) -> bytes:
    return json.dumps(
        {key: value for key, value in json.loads(LINE).items() if key != name}
    ).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "a JSON object, found an empty file"),
        (b"canary", "a JSON object, found 6 bytes that are not JSON"),
        (b"\0" * 100, "a JSON object, found 100 bytes that are not JSON"),
        (b"\xff\xfe{}", "a JSON object, found 4 bytes that are not JSON"),
        ("{}".encode("utf-16"), "a JSON object, found 6 bytes that are not JSON"),
        (LINE * 2, f"a JSON object, found {2 * len(LINE)} bytes that are not JSON"),
        (b"[" * 4000, "a JSON object, found 4000 bytes that are not JSON"),
        (b" " * (2**24 + 1), "a JSON object, found more than 16777216 bytes"),
        (b"[1]", "a JSON object, found an array"),
        (b"0", "a JSON object, found a number"),
        (b"null", "a JSON object, found null"),
        (b"{}", "one without version, system_identifier, timeline, slot, position"),
        (without("transaction_end"), "found one without transaction_end"),
        (changed(canary=1), "found one with more members"),
        (LINE.replace(b"{", b'{"slot":"shop",'), "found one that has a member twice"),
        (changed(version=2), "version 1 of the format, found version 2, of another release"),
        (changed(version=2, slot=None), "found version 2, of another release"),
        (changed(version=True), "a number as version, found a boolean"),
        (changed(version="1"), "a number as version, found a string"),
        (changed(timeline=1.5), "a number as timeline, found a number with a fraction"),
        (changed(timeline=float("nan")), "a number as timeline, found a number with a fraction"),
        (changed(timeline=-1), "timeline: expected an int from 1 to"),
        (changed(system_identifier=7), "a string as system_identifier, found a number"),
        (changed(system_identifier="x"), "system_identifier: expected a str of digits"),
        (changed(slot=None), "a string as slot, found null"),
        (changed(slot="\ud800"), "only a-z, 0-9 and _ are allowed"),
        (changed(position={"a": 1}), "a string as position, found an object"),
        (changed(position=[]), "a string as position, found an array"),
        (changed(position=0), "a string as position, found a number"),
        (changed(position="canary"), "an LSN as position, of the form 16/B374D848, found a string"),
        (changed(transaction_end=""), "an LSN as transaction_end, of the form"),
        (changed(transaction_end="0/123456789"), "found a string of 11 characters that is none"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_content_of_other_kinds(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    found = refused(path)
    assert reason in found
    assert "canary" not in found
    assert path.read_bytes() == content


def test_every_truncation_raises(path: Path) -> None:
    # Without its last byte, the line end, it is whole.
    for size in range(len(LINE) - 1):
        path.write_bytes(LINE[:size])
        with pytest.raises(OffsetStoreError):
            FileOffsets(path).load("shop")


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(LINE)), st.integers(0, 2), st.binary(max_size=2)), max_size=3
    )
)
@example(edits=[])
@example(edits=[(LINE.index(b"16B3748"), 1, b"")])
def test_changed_bytes_are_an_offset_only_if_they_say_so(
    edits: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = LINE
    for start, removed, added in edits:
        content = content[:start] + added + content[start + removed :]
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_bytes(content)
    try:
        offset = FileOffsets(path).load("shop")
    except OffsetStoreError:
        return
    assert offset is not None
    members = json.loads(content)
    assert offset == Offset(
        members["system_identifier"],
        members["timeline"],
        members["slot"],
        LSN.parse(members["position"]),
        LSN.parse(members["transaction_end"]),
    )
    assert len(members) == 6
