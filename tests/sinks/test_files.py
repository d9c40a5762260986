from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.errors import ConfigurationError, SinkError
from pglogical_cdc.events import LogicalMessage, Position
from pglogical_cdc.formatters.base import Record
from pglogical_cdc.lsn import LSN
from pglogical_cdc.sinks import Sink
from pglogical_cdc.sinks.files import FileSink, StdoutSink, json_line

if TYPE_CHECKING:
    from pathlib import Path

POSITION = Position(LSN.parse("0/16B3748"), 3)


def record(number: int, size: int = 0) -> Record:
    value = b'{"n":%d,"pad":"%b"}' % (number, b"x" * size)
    return Record("t", b'{"id":%d}' % number, value, (), POSITION)


def numbers(*paths: Path) -> list[int]:
    lines = b"".join(path.read_bytes() for path in paths).splitlines()
    return [json.loads(line)["value"]["n"] for line in lines]


def rotated(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name + ".*"))


def refuse(constant: str) -> NoReturn:
    raise AssertionError(constant)


# -- lines


def test_a_line() -> None:
    line = json_line(
        Record("dbz.public.t", b'{"id":1}', b'{"a":1}', [("h", b"x"), ("\xe9", b"y")], POSITION)
    )
    assert line == (
        b'{"topic":"dbz.public.t","key":{"id":1},"value":{"a":1},'
        b'"headers":{"h":"x","\\u00e9":"y"},"position":"0/16B3748:3"}\n'
    )


def test_a_tombstone_and_a_record_of_no_change() -> None:
    assert json_line(Record("t", None, None)) == (
        b'{"topic":"t","key":null,"value":null,"headers":{},"position":null}\n'
    )


def test_json_on_several_lines_becomes_one_line() -> None:
    value = b'{\n\t"a":\t"x\\n\\ty",\r\n\t"b":\t[1, 2]\n}'
    assert b'"value":{"a":"x\\n\\ty","b":[1, 2]},' in json_line(Record("t", None, value))


@pytest.mark.parametrize(
    "content",
    [
        b"public.people",
        b"7",
        b'"quoted"',
        b"{torn",
        b"[torn}",
        b"{",
        b"\xff\xfe binary \x00",
        b"[" * 100_000,
        b"",
        "é".encode(),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_other_bytes_are_strings_that_give_them_back(content: bytes) -> None:
    line = json_line(Record("t", content, content, [("h", content)]))
    found = json.loads(line, parse_constant=refuse)
    for text in (found["key"], found["value"], found["headers"]["h"]):
        assert text.encode("utf-8", "surrogateescape") == content


@pytest.mark.parametrize(
    "key",
    [b"{'not': 'json'}", b'{"a":NaN}', b'{"a":"raw\ncontrol"}', b'{"a":"\xff"}', b"{", b"[1][2]"],
)
def test_a_key_is_json_only_if_it_is(key: bytes) -> None:
    found = json.loads(json_line(Record("t", key, None)), parse_constant=refuse)
    assert found["key"].encode("utf-8", "surrogateescape") == key


@pytest.mark.parametrize("value", [b"{}", b"[]", b'{"a":NaN}', b"[torn, ]", b"{'not': 'json'}"])
def test_a_value_is_taken_for_json_by_its_ends(value: bytes) -> None:
    assert b'"value":' + value + b"," in json_line(Record("t", None, value))


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    change: Any = LogicalMessage(1, None, 0, "p", b"x", "shop")
    for sink in (StdoutSink(io.BytesIO()), FileSink(tmp_path / "out.jsonl")):
        with pytest.raises(ConfigurationError, match="give the pipeline a formatter"):
            sink.write([change])
        sink.close()


def test_numbers_of_any_length_stay_as_they_are() -> None:
    value = b'{"a":%b.5}' % (b"9" * 10_000)
    assert b'"value":' + value in json_line(Record("t", None, value))


def test_a_header_that_comes_more_than_once() -> None:
    headers = [("a", b"1"), ("b", b"x"), ("a", b"2"), ("a", b"3")]
    found = json.loads(json_line(Record("t", None, None, headers)))
    assert found["headers"] == {"a": ["1", "2", "3"], "b": "x"}


@given(st.text(), st.none() | st.binary(), st.none() | st.binary())
def test_whatever_comes_it_is_one_line_of_json(
    topic: str, key: bytes | None, value: bytes | None
) -> None:
    line = json_line(Record(topic, key, value))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    if value is None or value[:1] + value[-1:] not in (b"{}", b"[]"):
        assert json.loads(line, parse_constant=refuse)["topic"] == topic


# -- standard output


def test_stdout_sink_writes_and_flushes() -> None:
    stream = io.BytesIO()
    buffered = io.BufferedWriter(stream)
    sink = StdoutSink(buffered)
    assert isinstance(sink, Sink)
    sink.write([record(1), record(2)])
    assert stream.getvalue() == b""
    sink.flush()
    assert stream.getvalue() == json_line(record(1)) + json_line(record(2))
    sink.close()
    assert not buffered.closed


def test_stdout_sink_takes_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = StdoutSink()
    sink.write([record(1)])
    sink.flush()
    assert capsysbinary.readouterr().out == json_line(record(1))


def test_standard_output_that_takes_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(ConfigurationError, match="hand in a stream"):
        StdoutSink()


def test_a_pipe_whose_reader_is_gone_is_a_sink_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as stream:
        sink = StdoutSink(stream)
        with pytest.raises(SinkError, match="Broken pipe") as caught:
            sink.write([record(1)])
        assert isinstance(caught.value.__cause__, BrokenPipeError)


def test_a_stream_without_room_is_a_sink_error() -> None:
    with (
        open("/dev/full", "wb", buffering=0) as stream,
        pytest.raises(SinkError, match="No space left"),
    ):
        StdoutSink(stream).write([record(1)])


class RawStream(io.BytesIO):
    """Takes ten bytes at a time, as a raw stream may."""

    def write(self, content: Any, /) -> int:
        return super().write(content[:10])


def test_a_stream_that_takes_a_part_gets_the_rest() -> None:
    stream = RawStream()
    StdoutSink(stream).write([record(1), record(2)])
    assert stream.getvalue() == json_line(record(1)) + json_line(record(2))


def test_a_stream_that_does_not_wait_is_a_sink_error() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(writing, "wb", buffering=0) as stream, os.fdopen(reading, "rb"):
        sink = StdoutSink(stream)
        with pytest.raises(SinkError, match="does not wait"):
            sink.write([record(1, 10_000_000)])


def test_a_closed_stream_is_a_sink_error() -> None:
    stream = io.BytesIO()
    sink = StdoutSink(stream)
    stream.close()
    with pytest.raises(SinkError, match="closed"):
        sink.write([record(1)])
    with pytest.raises(SinkError, match="closed"):
        sink.flush()


# -- a file


def test_flush_puts_lines_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.jsonl"
    synced: list[int] = []
    fsync = os.fsync

    def noting(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noting)
    sink = FileSink(path)
    assert isinstance(sink, Sink)
    assert synced == [tmp_path.stat().st_ino]
    sink.write([record(1), record(2)])
    assert path.read_bytes() == b""
    sink.flush()
    assert synced[1:] == [path.stat().st_ino]
    assert path.read_bytes() == json_line(record(1)) + json_line(record(2))
    sink.close()


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    FileSink(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for number in (1, 2, 3):
        sink = FileSink(str(path))
        sink.write([record(number)])
        sink.flush()
        sink.close()
    assert numbers(path) == [1, 2, 3]


def test_many_lines_do_not_wait_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = FileSink(path)
    sink.write([record(number, 1000) for number in range(1000)])
    assert path.stat().st_size > 1_000_000
    sink.close()


def test_close_does_not_write_what_was_not_flushed(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = FileSink(path)
    sink.write([record(1)])
    sink.close()
    assert path.read_bytes() == b""
    sink.close()


def test_a_closed_sink_is_a_sink_error(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.jsonl")
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.flush()


# -- after a crash


@pytest.mark.parametrize("cut", [1, 5, 9, 20])
def test_a_torn_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(json_line(record(1)) + json_line(record(2))[:cut])
    sink = FileSink(path)
    assert numbers(path) == [1]
    sink.write([record(2)])
    sink.flush()
    sink.close()
    assert numbers(path) == [1, 2]


def test_a_long_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(json_line(record(1)) + json_line(record(2, 1_000_000))[:-1])
    FileSink(path).close()
    assert numbers(path) == [1]


def test_a_file_of_one_torn_line_or_of_zeros_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for content in (json_line(record(1))[:-1], b"\0" * 4096):
        path.write_bytes(content)
        FileSink(path).close()
        assert path.read_bytes() == b""


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"first\nsecond")
    with pytest.raises(ConfigurationError, match="left as it is"):
        FileSink(path)
    assert path.read_bytes() == b"first\nsecond"
    path.write_bytes(b"")
    FileSink(path).close()  # the refused sink holds no lock


# -- rotation


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    size = len(json_line(record(1)))
    sink = FileSink(path, max_bytes=2 * size)
    sink.write([record(number) for number in range(1, 6)])
    sink.flush()
    sink.close()
    assert [each.name for each in rotated(path)] == ["out.jsonl.000001", "out.jsonl.000002"]
    assert [numbers(each) for each in (*rotated(path), path)] == [[1, 2], [3, 4], [5]]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rotation_goes_on_counting_in_another_run(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    (tmp_path / "out.jsonl.000041").write_bytes(b"")
    (tmp_path / "out.jsonl.gz").write_bytes(b"")
    size = len(json_line(record(1)))
    for number in (1, 2):
        sink = FileSink(path, max_bytes=size)
        sink.write([record(number)])
        sink.flush()
        sink.close()
    assert numbers(tmp_path / "out.jsonl.000042") == [1]
    assert numbers(path) == [2]


def test_a_record_bigger_than_a_file_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = FileSink(path, max_bytes=1000)
    sink.write([record(1), record(2, 5000), record(3)])
    sink.flush()
    sink.close()
    assert [numbers(each) for each in (*rotated(path), path)] == [[1], [2], [3]]


def test_a_rotated_file_is_on_the_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noting_fsync(fd: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def noting_rename(old: Any, new: Any) -> None:
        calls.append("rename")
        rename(old, new)

    sink = FileSink(path, max_bytes=1)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting_rename)
    sink.write([record(1), record(2)])
    sink.flush()
    sink.close()
    assert calls == ["file", "rename", "folder", "file"]


@pytest.mark.parametrize("max_bytes", [0, -1])
def test_max_bytes_must_be_positive(tmp_path: Path, max_bytes: int) -> None:
    with pytest.raises(ConfigurationError, match="max_bytes must be at least 1"):
        FileSink(tmp_path / "out.jsonl", max_bytes=max_bytes)


# -- errors


def test_a_full_disk_is_a_sink_error_and_the_end_of_the_sink() -> None:
    sink = FileSink("/dev/full")
    sink.write([record(1)])
    with pytest.raises(SinkError, match="No space left"):
        sink.flush()
    with pytest.raises(SinkError, match="failed before"):
        sink.write([record(2)])
    with pytest.raises(SinkError, match="failed before"):
        sink.flush()
    sink.close()


def test_a_failing_fsync_is_a_sink_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "out.jsonl")
    sink.write([record(1)])

    def failing(fd: int) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(SinkError, match="Input/output error"):
        sink.flush()
    monkeypatch.undo()
    with pytest.raises(SinkError, match="failed before"):
        sink.flush()
    sink.close()


def test_a_folder_that_has_no_fsync_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", files_only)
    FileSink(tmp_path / "out.jsonl").close()


def test_a_folder_that_is_not_there_is_a_sink_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file or directory"):
        FileSink(tmp_path / "missing" / "out.jsonl")


def test_two_sinks_cannot_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = FileSink(path)
    with pytest.raises(SinkError, match="another sink writes"):
        FileSink(path)
    first.close()
    FileSink(path).close()


def _open_files(folder: Path) -> list[str]:
    """The files below a folder that we have open; elsewhere those of other threads come and go."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            pass
    return [path for path in found if path.startswith(f"{folder}/")]


@pytest.mark.parametrize("made_anew", [True, False])
def test_a_file_that_is_rotated_before_it_is_locked_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_anew: bool
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(json_line(record(1)))
    flock = fcntl.flock
    locked: list[int] = []

    def late(fd: int, operation: int) -> None:
        if not locked:
            path.rename(tmp_path / "out.jsonl.000001")
            if made_anew:
                path.write_bytes(json_line(record(2)) + b'{"topic":')
        locked.append(os.fstat(fd).st_ino)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    sink = FileSink(path)
    assert _open_files(tmp_path) == [str(path)]
    sink.write([record(3)])
    sink.flush()
    sink.close()
    assert locked == [(tmp_path / "out.jsonl.000001").stat().st_ino, path.stat().st_ino]
    assert numbers(tmp_path / "out.jsonl.000001") == [1]
    assert numbers(path) == ([2, 3] if made_anew else [3])


def test_a_file_whose_folder_goes_before_it_is_locked_is_a_sink_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    flock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        folder.rename(tmp_path / "moved")
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(SinkError, match="No such file or directory"):
        FileSink(folder / "out.jsonl")
    assert _open_files(tmp_path) == []


def test_what_another_sink_wrote_before_the_lock_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(json_line(record(1))[:-5])
    flock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        path.write_bytes(json_line(record(1)) + json_line(record(2)))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    FileSink(path).close()
    assert numbers(path) == [1, 2]


def test_a_device_is_written_but_not_rotated() -> None:
    sink = FileSink("/dev/null")
    sink.write([record(1)])
    sink.flush()
    sink.close()
    with pytest.raises(ConfigurationError, match="max_bytes"):
        FileSink("/dev/null", max_bytes=10)


def test_a_pipe_learns_that_its_reader_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["head", "-n", "1", str(path)], stdout=subprocess.PIPE) as reader:
        sink = FileSink(path)
        sink.write([record(1)])
        sink.flush()
        out, _ = reader.communicate(timeout=20)
        assert out == json_line(record(1))
    sink.write([record(2)])
    with pytest.raises(SinkError, match="Broken pipe"):
        sink.flush()
    sink.close()
