"""Tests of `pglogical_cdc.cli.status`."""

from __future__ import annotations

import io

from attrs import evolve
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pglogical_cdc.cli.status import AboveStatus, StatusDisplay, live_status
from pglogical_cdc.lsn import LSN
from pglogical_cdc.replication import ReaderStats
from pglogical_cdc.snapshot import SnapshotStats


def _stats(changes: int, lag: int = 0) -> ReaderStats:
    return ReaderStats(
        changes=changes,
        transactions=changes // 10,
        received_lsn=LSN(0x1000),
        acknowledged_lsn=LSN(0x800),
        server_lsn=LSN(0x800 + lag),
        lag_seconds=None,
    )


def _line(display: StatusDisplay) -> str:
    line = display.renderable()
    assert isinstance(line, Text)
    return line.plain


def _terminal() -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=True, width=120, color_system="standard"), shown


def test_the_line_tells_rate_lag_and_position() -> None:
    now = [100.0]
    stats = [_stats(0)]
    line = StatusDisplay(lambda: stats[0], lambda: now[0])
    assert _line(line).startswith("0 changes/s")
    now[0], stats[0] = 102.0, _stats(5000, lag=2_500_000)
    assert (
        _line(line) == "2,500 changes/s | 5,000 changes in 500 transactions | lag 2.5 MB"
        " | at 0/1000, acknowledged 0/800"
    )


def test_bars_are_there_until_all_tables_are_read() -> None:
    reading = SnapshotStats(3, 1, "s.t", 5000, 1_000_000, 25_000, 8192, 2.0, 2500.0)
    stats = [evolve(_stats(5000), snapshot=reading)]
    display = StatusDisplay(lambda: stats[0])
    assert isinstance(display.renderable(), Table)
    stats[0] = evolve(stats[0], snapshot=evolve(reading, table=None, tables_read=3))
    assert "changes/s" in _line(display)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    changes = [0]
    line = StatusDisplay(lambda: _stats(changes[0]), lambda: now[0])
    for second in range(30):
        now[0] = float(second)
        changes[0] = min(second, 10) * 1000
        text = _line(line)
        if second == 10:
            assert text.startswith("1,000 changes/s")
    assert text.startswith("0 changes/s")


def test_the_line_is_there_during_the_block_and_removed_after_it() -> None:
    console, shown = _terminal()
    with live_status(StatusDisplay(lambda: _stats(7)), console):
        pass
    output = shown.getvalue()
    assert "7 changes in 0 transactions" in output
    assert "\x1b[2K" in output.rpartition("acknowledged")[2]


def test_lines_go_above_the_status_line_whole_and_unwrapped() -> None:
    console, shown = _terminal()
    raw = AboveStatus(console)
    long = "[bold]:smile: " + "x" * 300
    with io.BufferedWriter(raw) as stream:
        stream.write(f"{long}\nbegin".encode())
        stream.flush()
        assert shown.getvalue() == f"{long}\n"
        stream.write(b"ning\n")
        stream.flush()
        assert shown.getvalue() == f"{long}\nbeginning\n"
