"""Tests of `pglogical_cdc.cli.snapshot_bars`."""

from __future__ import annotations

import io

from attrs import evolve
from rich.console import Console

from pglogical_cdc.cli.snapshot_bars import snapshot_bars, snapshot_summary
from pglogical_cdc.snapshot import SnapshotStats, TableProgress

_BAR = "\u2501\u2578\u257a"
"""What bars are made of."""


def _stats(*each: TableProgress, estimated: int | None = 1000) -> SnapshotStats:
    return SnapshotStats(
        tables=len(each),
        tables_read=sum(table.is_read for table in each),
        table="s.t",
        rows=sum(table.rows for table in each),
        bytes=2_000_000,
        estimated_rows=estimated,
        bytes_on_disk=8192,
        seconds=2.0,
        rows_per_second=50.0,
        each=each,
    )


def _shown(stats: SnapshotStats, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(snapshot_bars(stats))
    file = console.file
    assert isinstance(file, io.StringIO)
    lines = file.getvalue().translate(dict.fromkeys(map(ord, _BAR))).splitlines()
    return [" ".join(line.split()) for line in lines]


READ = TableProgress("s.read", 300, 1_500_000, 500, 8192, 1.5, is_read=True)
READING = TableProgress("s.reading", 100, 500_000, 400, 8192, 0.5)
WAITING = TableProgress("s.waiting", estimated_rows=300)


def test_a_line_for_what_was_read_and_is_being_read_and_one_for_all() -> None:
    assert _shown(_stats(READ, READING, WAITING)) == [
        "s.read 100% 300 rows, 1.5 MB 1.5 s",
        "s.reading 25% 100 of ~400 rows 0.5 s",
        "1 of 3 tables 40% 400 of ~1,000 rows 50/s, 0:00:12 left",
    ]


def test_the_bar_is_as_long_as_the_part_that_was_read() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    quarter = console.render_lines(snapshot_bars(_stats(READING)))[0]
    done = console.render_lines(snapshot_bars(_stats(READ)))[0]

    def coloured(line: list[object]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for segment in line:
            text, style = segment.text, str(segment.style)  # type: ignore[attr-defined]
            counts[style] = counts.get(style, 0) + sum(map(text.count, _BAR))
        return {style: count for style, count in counts.items() if count}

    assert sorted(coloured(list(quarter)).values()) == [6, 18]
    assert list(coloured(list(done)).values()) == [24]


def test_without_an_estimate_it_says_what_was_read() -> None:
    unknown = evolve(READING, estimated_rows=None)
    assert _shown(_stats(unknown, estimated=None)) == [
        "s.reading 100 rows 0.5 s",
        "0 of 1 tables 100 rows 50/s",
    ]


def test_more_rows_than_estimated_are_not_the_end() -> None:
    line, _ = _shown(_stats(evolve(READING, estimated_rows=90)))
    assert line == "s.reading 99% 100 of ~90 rows 0.5 s"
    line, _ = _shown(_stats(evolve(READING, estimated_rows=0)))
    assert line == "s.reading 100 of ~0 rows 0.5 s"


def test_of_thousands_of_tables_a_few_are_shown() -> None:
    read = [evolve(READ, table=f"s.read{i}") for i in range(1000)]
    reading = [evolve(READING, table=f"s.reading{i}") for i in range(20)]
    lines = _shown(_stats(*read, *reading, *[WAITING] * 1000))
    assert [line.split()[0] for line in lines[:3]] == ["s.read998", "s.read999", "s.reading0"]
    assert lines[-1].startswith("1,000 of 2,020 tables")
    assert len(lines) == 9


def test_a_name_cannot_command_the_terminal_and_may_be_long() -> None:
    line, _ = _shown(_stats(evolve(READING, table="s.[bold]\x1b[2J\n\x07x")))
    assert line.startswith("s.[bold]\ufffd[2J\ufffd\ufffdx 25%")
    lines = _shown(_stats(evolve(READING, table="s." + "x" * 200)))
    assert len(lines) == 2
    assert "\u2026" in lines[0]


def test_a_summary() -> None:
    assert snapshot_summary(_stats(READ, READING)) == "1 of 2 tables, 400 rows, 2.0 MB in 2.0 s"
