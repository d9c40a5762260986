"""Micro benchmarks: what one thousand rows cost in each room."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import backlog
from pglogical_cdc.events import Change, ChangeAssembler, Insert, Update
from pglogical_cdc.formatters import (
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    UnwrappedFormatter,
)
from pglogical_cdc.parsers import DebeziumParser, DmsParser
from pglogical_cdc.postgres import PsycopgLoaders
from pglogical_cdc.protocol import Message, PgoutputParser, RelationMessage

__all__ = ()

ROWS = 1000


@pytest.fixture
def payloads() -> list[bytes]:
    return backlog.inserts(ROWS)


def _parse(payloads: Sequence[bytes]) -> list[Message]:
    parse = PgoutputParser(protocol_version=1).parse
    return [parse(payload) for payload in payloads]


def _assemble(messages: Sequence[Message]) -> list[Change]:
    assembler = ChangeAssembler(database="bench", loaders=PsycopgLoaders())
    for message in _parse(backlog.preamble()):
        described = backlog.catalog() if isinstance(message, RelationMessage) else None
        assembler.assemble(message, 0x1000, described)
    return [change for message in messages for change in assembler.assemble(message, 0x1000)]


def test_parse(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert len(benchmark(_parse, payloads)) == ROWS


def test_assemble(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert len(benchmark(_assemble, _parse(payloads))) == ROWS


def _one_column(changes: Sequence[Change]) -> int:
    return sum(change.after["id"] is not None for change in changes if change.after is not None)


def _all_columns(changes: Sequence[Change]) -> int:
    return sum(len(dict(change.after)) for change in changes if change.after is not None)


def _on_fresh_rows(
    benchmark: BenchmarkFixture, run: Callable[[Sequence[Change]], int], payloads: Sequence[bytes]
) -> int:
    """Benchmark on new rows in every round, because rows keep what they have decoded."""
    messages = _parse(payloads)
    pedantic: Callable[..., int] = benchmark.pedantic
    return pedantic(run, setup=lambda: ((_assemble(messages),), {}), rounds=30)


def test_decode_one_column(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert _on_fresh_rows(benchmark, _one_column, payloads) == ROWS


def test_decode_all_columns(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert _on_fresh_rows(benchmark, _all_columns, payloads) == ROWS * len(backlog.COLUMNS)


@pytest.mark.parametrize(
    "formatter",
    [
        DebeziumFormatter(topic_prefix="bench"),
        DebeziumFormatter(topic_prefix="bench", schemas_enable=True),
        UnwrappedFormatter(topic_prefix="bench"),
        DmsFormatter(message_format="json-unformatted"),
    ],
    ids=["Debezium", "Debezium with schemas", "unwrapped", "DMS"],
)
def test_format(benchmark: BenchmarkFixture, payloads: list[bytes], formatter: Formatter) -> None:
    changes = _assemble(_parse(payloads))

    def run() -> int:
        return sum(len(formatter.format(change)) for change in changes)

    assert benchmark(run) == ROWS


def test_format_updates(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    """Updates with the whole old row, whose keys are compared."""
    formatter = DebeziumFormatter(topic_prefix="bench")
    changes = [
        Update(change.wal_start, change.transaction, 1, change.relation, change.after, change.after)
        for change in _assemble(_parse(payloads))
        if isinstance(change, Insert)
    ]

    def run() -> int:
        return sum(len(formatter.format(change)) for change in changes)

    assert benchmark(run) == ROWS


def _rows_by_hand(changes: Sequence[Change]) -> int:
    """Make what most programs make: JSON of the rows' Python values, without envelope or key."""
    texts = [
        json.dumps(dict(change.after), default=str, separators=(",", ":"))
        for change in changes
        if change.after is not None
    ]
    return len(texts)


def test_rows_by_hand(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert _on_fresh_rows(benchmark, _rows_by_hand, payloads) == ROWS


@pytest.mark.parametrize("schemas", [False, True], ids=["plain", "with schemas"])
def test_read_back(benchmark: BenchmarkFixture, payloads: list[bytes], schemas: bool) -> None:
    formatter = DebeziumFormatter(topic_prefix="bench", schemas_enable=schemas)
    records = [
        record for change in _assemble(_parse(payloads)) for record in formatter.format(change)
    ]
    parser = DebeziumParser()

    def run() -> int:
        return len([parser.parse(record.value, record.key) for record in records])

    assert benchmark(run) == ROWS


def test_read_back_dms(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    formatter = DmsFormatter(message_format="json-unformatted")
    values = [
        record.value
        for change in _assemble(_parse(payloads))
        for record in formatter.format(change)
    ]
    parser = DmsParser(primary_keys={"public.standard": ["id"]})

    def run() -> int:
        return len([parser.parse(value) for value in values])

    assert benchmark(run) == ROWS
