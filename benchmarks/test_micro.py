"""Micro benchmarks: what one thousand rows cost in each room."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import backlog
from benchmarks.rooms import assembled, parsed
from pglogical_cdc.events import Change, Insert, Update
from pglogical_cdc.formatters import (
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    UnwrappedFormatter,
)
from pglogical_cdc.parsers import DebeziumParser, DmsParser

__all__ = ()

ROWS: Final = 1000
WIDE: Final = backlog.wide_columns(64)

FORMATTERS: Final[dict[str, Formatter]] = {
    "Debezium": DebeziumFormatter(topic_prefix="bench"),
    "Debezium with schemas": DebeziumFormatter(topic_prefix="bench", schemas_enable=True),
    "unwrapped": UnwrappedFormatter(topic_prefix="bench"),
    "DMS": DmsFormatter(message_format="json-unformatted"),
}


@pytest.fixture
def payloads() -> list[bytes]:
    return backlog.inserts(ROWS)


def test_parse(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert len(benchmark(parsed, payloads)) == ROWS


def test_parse_binary(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(parsed, backlog.binary_inserts(ROWS))) == ROWS


def test_parse_64_columns(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(parsed, backlog.inserts(ROWS, WIDE))) == ROWS


def test_assemble(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert len(benchmark(assembled, parsed(payloads))) == ROWS


def _one_column(changes: Sequence[Change]) -> int:
    return sum(change.after["id"] is not None for change in changes if change.after is not None)


def _all_columns(changes: Sequence[Change]) -> int:
    return sum(len(dict(change.after)) for change in changes if change.after is not None)


def _on_fresh_rows(
    benchmark: BenchmarkFixture,
    run: Callable[[Sequence[Change]], int],
    payloads: Sequence[bytes],
    columns: backlog.Columns = backlog.COLUMNS,
) -> int:
    """Benchmark on new rows in every round, because rows keep what they have decoded."""
    messages = parsed(payloads)
    pedantic: Callable[..., int] = benchmark.pedantic
    return pedantic(run, setup=lambda: ((assembled(messages, columns),), {}), rounds=30)


def test_decode_one_column(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert _on_fresh_rows(benchmark, _one_column, payloads) == ROWS


def test_decode_all_columns(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    assert _on_fresh_rows(benchmark, _all_columns, payloads) == ROWS * len(backlog.COLUMNS)


def test_decode_all_columns_binary(benchmark: BenchmarkFixture) -> None:
    payloads = backlog.binary_inserts(ROWS)
    assert _on_fresh_rows(benchmark, _all_columns, payloads) == ROWS * len(backlog.COLUMNS)


def _formatted(formatter: Formatter) -> Callable[[Sequence[Change]], int]:
    return lambda changes: sum(len(formatter.format(change)) for change in changes)


@pytest.mark.parametrize("name", FORMATTERS)
def test_format(benchmark: BenchmarkFixture, payloads: list[bytes], name: str) -> None:
    assert _on_fresh_rows(benchmark, _formatted(FORMATTERS[name]), payloads) == ROWS


@pytest.mark.parametrize("name", FORMATTERS)
def test_format_64_columns(benchmark: BenchmarkFixture, name: str) -> None:
    payloads = backlog.inserts(ROWS, WIDE)
    assert _on_fresh_rows(benchmark, _formatted(FORMATTERS[name]), payloads, WIDE) == ROWS


def test_format_updates(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    """Updates with the whole old row, whose keys are compared."""
    formatter = DebeziumFormatter(topic_prefix="bench")
    changes = [
        Update(change.wal_start, change.transaction, 1, change.relation, change.after, change.after)
        for change in assembled(parsed(payloads))
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
        record for change in assembled(parsed(payloads)) for record in formatter.format(change)
    ]
    parser = DebeziumParser()

    def run() -> int:
        return len([parser.parse(record.value, record.key) for record in records])

    assert benchmark(run) == ROWS


def test_read_back_dms(benchmark: BenchmarkFixture, payloads: list[bytes]) -> None:
    formatter = DmsFormatter(message_format="json-unformatted")
    values = [
        record.value
        for change in assembled(parsed(payloads))
        for record in formatter.format(change)
    ]
    parser = DmsParser(primary_keys={"public.standard": ["id"]})

    def run() -> int:
        return len([parser.parse(value) for value in values])

    assert benchmark(run) == ROWS
