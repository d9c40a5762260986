"""The guard of CI: what a room costs beside plain Python, in the same process at the same time.

How fast a machine is does not matter, as both are measured on it, one after the other again and
again; of each the best run counts. The limits leave room for other machines and other Pythons:
what they catch is code that has become slow, not code that has become a little slower.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import pytest

from benchmarks import backlog
from benchmarks.reference import ReferenceWriter
from benchmarks.rooms import LSN, assembled, described, parsed, snapshot_reads
from pglogical_cdc.formatters import (
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    UnwrappedFormatter,
)

__all__ = ()

# Limits, each with what was measured with CPython 3.11 beside it. Times the plain writer's CPU for
# the same rows:
PARSE: Final = 0.17  # 0.10
READ: Final = 0.26  # 0.16
FORMAT: Final = 0.32  # 0.20

READ_SNAPSHOT: Final = 0.13  # 0.08
FORMAT_SNAPSHOT: Final = 0.38  # 0.24

# Times the CPU of Debezium JSON:
OTHER_FORMATS: Final = 1.25  # 0.70 DMS, 0.80 unwrapped

# A value at 64 columns, times one at 16, on which what an event costs by itself weighs more:
PER_VALUE: Final = 1.1  # 0.71 read, 0.73 format

ROWS: Final = 500
REPEATS: Final = 11

Run: TypeAlias = Callable[[], object]


def _best(contestants: Mapping[str, Callable[[], Run]]) -> dict[str, float]:
    """Return the least CPU seconds of each.

    Args:
        contestants: what makes ready, which is not measured, and gives what is.
    """
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(REPEATS):
        for name, prepare in contestants.items():
            run = prepare()
            gc.collect()
            gc.disable()
            try:
                began = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - began)
            finally:
                gc.enable()
    return best


def _plain_writer() -> ReferenceWriter:
    writer = ReferenceWriter("bench", 0)
    for payload in backlog.preamble():
        writer.write(LSN, payload)
    return writer


def _plain() -> Run:
    """Let the reference writer take the bytes apart and write Debezium's JSON."""
    writer, payloads = _plain_writer(), backlog.inserts(ROWS)
    return lambda: [writer.write(LSN, payload) for payload in payloads]


def _parse() -> Run:
    payloads = backlog.inserts(ROWS)
    return lambda: parsed(payloads)


def _read(columns: backlog.Columns = backlog.COLUMNS) -> Run:
    payloads = backlog.inserts(ROWS, columns)
    return lambda: assembled(parsed(payloads), columns)


def _read_snapshot() -> Run:
    lines, relation = backlog.copied(ROWS), described()
    return lambda: snapshot_reads(lines, relation)


def _format_snapshot() -> Run:
    formatter = DebeziumFormatter(topic_prefix="bench")
    first, *rest = snapshot_reads(backlog.copied(ROWS), described())
    formatter.format(first)  # the table is new to it
    return lambda: [formatter.format(read) for read in rest]


def _format(formatter: Formatter, columns: backlog.Columns = backlog.COLUMNS) -> Run:
    changes = assembled(parsed(backlog.inserts(ROWS, columns)), columns)
    formatter.format(changes[0])  # the table is new to it
    rest = changes[1:]
    return lambda: [formatter.format(change) for change in rest]


@pytest.fixture(scope="module")
def cost() -> dict[str, float]:
    """The best of each room, all of them in turn."""
    return _best(
        {
            "plain": _plain,
            "parse": _parse,
            "read": _read,
            "read snapshot": _read_snapshot,
            "format snapshot": _format_snapshot,
            "Debezium": lambda: _format(DebeziumFormatter(topic_prefix="bench")),
            "DMS": lambda: _format(DmsFormatter(message_format="json-unformatted")),
            "unwrapped": lambda: _format(UnwrappedFormatter(topic_prefix="bench")),
        }
    )


def test_plain_writer_writes_the_same() -> None:
    formatter, writer = DebeziumFormatter(topic_prefix="bench", clock=lambda: 0), _plain_writer()
    payloads = backlog.inserts(ROWS)
    ours = [record for change in assembled(parsed(payloads)) for record in formatter.format(change)]
    plain = [record for payload in payloads for record in writer.write(LSN, payload)]
    assert [(record.topic, record.key, record.value) for record in ours] == plain


@pytest.mark.parametrize(
    ("room", "limit"),
    [
        ("parse", PARSE),
        ("read", READ),
        ("Debezium", FORMAT),
        ("read snapshot", READ_SNAPSHOT),
        ("format snapshot", FORMAT_SNAPSHOT),
    ],
)
def test_room_beside_plain_python(cost: dict[str, float], room: str, limit: float) -> None:
    ratio = cost[room] / cost["plain"]
    print(f"{room}: {ratio:.3f} of the plain writer")
    assert ratio < limit


@pytest.mark.parametrize("name", ["DMS", "unwrapped"])
def test_formats_cost_what_debezium_costs(cost: dict[str, float], name: str) -> None:
    ratio = cost[name] / cost["Debezium"]
    print(f"{name}: {ratio:.3f} of Debezium JSON")
    assert ratio < OTHER_FORMATS


@pytest.mark.parametrize("room", ["read", "format"])
def test_cost_is_linear_in_columns(room: str) -> None:
    def contestant(count: int) -> Callable[[], Run]:
        columns = backlog.wide_columns(count)
        if room == "read":
            return lambda: _read(columns)
        return lambda: _format(DebeziumFormatter(topic_prefix="bench"), columns)

    best = _best({str(count): contestant(count) for count in (16, 64)})
    ratio = best["64"] / 64 / (best["16"] / 16)
    print(f"{room}: a value of 64 columns costs {ratio:.3f} of one of 16")
    assert ratio < PER_VALUE
