"""Tests of `pglogical_cdc.cli.event_lines`."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from pglogical_cdc.cli.event_lines import EventLines
from pglogical_cdc.cli.event_text import event_text
from pglogical_cdc.errors import SinkError
from pglogical_cdc.events import Change
from pglogical_cdc.sinks import Sink
from tests.feed import Feed


@pytest.fixture
def changes() -> list[Change]:
    feed = Feed()
    feed.begin()
    feed.table(1, "public", "item", [("id", 23)], key=["id"])
    return [feed.insert(1, "1"), feed.delete(1, key=["1"])]


def test_writes_a_line_for_each_change_and_leaves_the_stream_open(changes: list[Change]) -> None:
    stream = io.BytesIO()
    sink = EventLines(stream)
    assert isinstance(sink, Sink)
    sink.write(changes)
    sink.flush()
    sink.close()
    assert stream.getvalue().decode().splitlines() == list(map(event_text, changes))


def test_appends_to_a_file_of_its_owner_and_forces_it_to_the_disk(
    changes: list[Change], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events"
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    for change in changes:
        sink = EventLines(path)
        sink.write([change])
        sink.flush()
        assert synced[-1] == path.stat().st_size > 0
        sink.close()
        sink.close()
    assert path.read_text().splitlines() == list(map(event_text, changes))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_is_a_sink_error(changes: list[Change], tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file"):
        EventLines(tmp_path / "missing" / "events")
    with open("/dev/full", "wb") as full:
        sink = EventLines(full)
        sink.write(changes)
        with pytest.raises(SinkError, match="No space left"):
            sink.flush()
        full.raw.close()


def test_a_reader_that_is_gone_is_a_sink_error_with_its_cause(changes: list[Change]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as pipe:
        sink = EventLines(pipe)
        with pytest.raises(SinkError) as raised:
            sink.write(changes)
    assert isinstance(raised.value.__cause__, BrokenPipeError)
