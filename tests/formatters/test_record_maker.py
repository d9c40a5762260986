"""Records of many rows, and formatters in another process: pickled, and what they make is."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from pglogical_cdc.events import Row, SnapshotPoint, SnapshotRead, SnapshotRows
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Formatter, UnwrappedFormatter
from pglogical_cdc.formatters.record_maker import RecordMaker
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import CopyRowParser
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pglogical_cdc.events import Change, Relation
    from pglogical_cdc.formatters import Record

_POINT = SnapshotPoint(7, 1_700_000_000_000_000)


def _now() -> int:
    return 1_700_000_000_123_456_789


def _topic(schema: str, table: str) -> str:
    return f"{schema}/{table}"


def _tables() -> list[Relation]:
    return [
        relation(column("id", "int4"), column("v"), primary_key=["id"], name=name, oid=oid)
        for name, oid in (("t", 1), ("u", 2))
    ]


def _reads(tables: list[Relation]) -> list[SnapshotRead]:
    return [
        SnapshotRead(LSN(16), None, 0, table, Row(table, [b"%d" % i, b"v"]), "true", i, _POINT)
        for table in tables
        for i in range(1, 4)
    ]


def _rows(tables: list[Relation]) -> list[SnapshotRows]:
    values = CopyRowParser(2).rows([b"%d\tv\n" % i for i in range(1, 4)])
    return [SnapshotRows(table, LSN(16), _POINT, values) for table in tables]


class _Own(DebeziumFormatter):
    """A formatter of somebody's own."""

    def __init__(self, name: str) -> None:
        super().__init__(topic_prefix=name, clock=_now)
        self.name = name


_FORMATTERS: list[tuple[type[Any], dict[str, Any]]] = [
    (DebeziumFormatter, {"topic_prefix": "x", "clock": _now}),
    (DebeziumFormatter, {"topic_prefix": "x", "clock": _now, "schemas_enable": True}),
    (UnwrappedFormatter, {"topic_prefix": "x", "clock": _now}),
    (UnwrappedFormatter, {"topic_prefix": "x", "clock": _now, "add_headers": "op,table"}),
    (DmsFormatter, {"clock": _now}),
    (DmsFormatter, {"clock": _now, "topic": _topic, "include_control_details": True}),
    (_Own, {"name": "own"}),
]


@pytest.mark.parametrize(("kind", "options"), _FORMATTERS)
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_a_formatter_that_was_pickled_makes_the_same(
    kind: type[Any], options: dict[str, Any], *, is_used: bool
) -> None:
    formatter: Formatter = kind(**options)
    reads = _reads(_tables())
    if is_used:
        for read in reads:
            formatter.format(read)
    other = pickle.loads(pickle.dumps(formatter))
    begun_anew: Formatter = pickle.loads(pickle.dumps(formatter))
    expected = [made for read in reads for made in begun_anew.format(read)]
    assert [made for read in reads for made in other.format(read)] == expected
    # A random run_id goes along; what a table is introduced with, if anything, comes again.
    if not is_used:
        assert [made for read in reads for made in formatter.format(read)] == expected


@pytest.mark.parametrize(("kind", "options"), _FORMATTERS)
def test_records_are_packed(kind: type[Any], options: dict[str, Any]) -> None:
    formatter: Formatter = kind(**options)
    reads = _reads(_tables())
    maker = RecordMaker(pickle.loads(pickle.dumps(formatter)))
    packed = [pickle.loads(pickle.dumps(maker.pack(rows))) for rows in _rows(_tables())]
    found = [made for each in packed for made in maker.unpack(each)]
    expected = [made for read in reads for made in formatter.format(read)]
    assert found == expected
    assert [*map(type, found)] == [*map(type, expected)]


def test_records_with_much_in_common_share_it() -> None:
    for formatter in (DebeziumFormatter(topic_prefix="x"), DmsFormatter()):
        maker = RecordMaker(formatter)
        packed = [each for rows in _rows(_tables()) for each in maker.pack(rows)]
        assert [len(each.keys) for each in packed] == [3, 3]


def test_nothing_packed() -> None:
    (table, _) = _tables()
    for formatter in (DebeziumFormatter(topic_prefix="x"), DmsFormatter()):
        maker = RecordMaker(formatter)
        assert maker.unpack(maker.pack(SnapshotRows(table, LSN(16), _POINT, []))) == []


class _Marked(DebeziumFormatter):
    """One that has another `format`."""

    def format(self, change: Change) -> Sequence[Record]:
        return [evolve(record, topic="marked") for record in super().format(change)]


@pytest.mark.parametrize(
    ("formatter", "takes_rows"),
    [
        (DebeziumFormatter(topic_prefix="x"), True),
        (_Own("own"), True),
        (_Marked(topic_prefix="x"), False),
        (UnwrappedFormatter(topic_prefix="x"), False),
        (DmsFormatter(), False),
    ],
)
def test_who_makes_records_of_many_rows_at_once(formatter: Formatter, *, takes_rows: bool) -> None:
    assert RecordMaker(formatter).takes_rows is takes_rows


def test_a_format_of_an_object_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    formatter = DebeziumFormatter(topic_prefix="x")
    monkeypatch.setattr(formatter, "format", formatter.format)
    assert not RecordMaker(formatter).takes_rows


def test_a_format_of_ones_own_is_asked() -> None:
    maker = RecordMaker(_Marked(topic_prefix="x"))
    for rows in _rows(_tables()):
        assert {record.topic for record in maker.unpack(maker.pack(rows))} == {"marked"}
