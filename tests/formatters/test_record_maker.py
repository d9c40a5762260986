"""Formatters in another process: they are pickled, and what they make is."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc.events import Row, SnapshotPoint, SnapshotRead
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Formatter, UnwrappedFormatter
from pglogical_cdc.formatters.record_maker import RecordMaker
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation

if TYPE_CHECKING:
    from pglogical_cdc.events import Relation

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
    packed = pickle.loads(pickle.dumps(maker.pack(reads)))
    found = maker.unpack(packed)
    expected = [made for read in reads for made in formatter.format(read)]
    assert found == expected
    assert [*map(type, found)] == [*map(type, expected)]


def test_records_with_much_in_common_share_it() -> None:
    maker = RecordMaker(DebeziumFormatter(topic_prefix="x"))
    packed = maker.pack(_reads(_tables()))
    assert [len(each.keys) for each in packed] == [3, 3]


def test_nothing_packed() -> None:
    maker = RecordMaker(DmsFormatter())
    assert maker.unpack(maker.pack([])) == []
