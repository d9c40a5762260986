"""Markers of the rows of a snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.events import Relation, ReplicaIdentity, Row, SnapshotMarker, SnapshotRead
from pglogical_cdc.protocol import TupleData
from pglogical_cdc.snapshot import Marks


def _make(relation: Relation, row: TupleData, marker: SnapshotMarker) -> SnapshotRead:
    return SnapshotRead(0, None, 0, relation, Row(relation, row), marker)


def _marked(tables: list[list[int]]) -> list[tuple[int, int, str]]:
    """Mark tables, each given as the sizes of the batches in which its rows come."""
    marks = Marks(_make)
    made: list[SnapshotRead] = []
    for number, batches in enumerate(tables):
        relation = Relation(number, "s", "t", (), ReplicaIdentity.DEFAULT)
        first = 0
        for size in batches:
            rows: list[TupleData] = [(b"%d" % i,) for i in range(first, first + size)]
            made += marks.rows(relation, rows)
            first += size
        marks.end_table()
    made += marks.end()
    return [(read.relation.oid, _number(read), read.snapshot) for read in made]


def _number(read: SnapshotRead) -> int:
    (value,) = read.after.raw
    assert isinstance(value, bytes)
    return int(value)


@pytest.mark.parametrize(
    ("tables", "markers"),
    [
        ([], ""),
        ([[]], ""),
        ([[1]], "last"),
        ([[2]], "first last"),
        ([[3]], "first true last"),
        ([[1], [1]], "first last"),
        ([[1], [1], [1]], "first last_in_data_collection last"),
        ([[2], [3]], "first last_in_data_collection first_in_data_collection true last"),
        ([[2], []], "first last"),
        ([[1], [], []], "last"),
        ([[], [1]], "last"),
        ([[], [2]], "first_in_data_collection last"),
        ([[], [1], [1]], "last_in_data_collection last"),
        (
            [[], [2], [3], [2], []],
            "first_in_data_collection last_in_data_collection"
            " first_in_data_collection true last_in_data_collection"
            " first_in_data_collection last",
        ),
        ([[1], [], [2]], "first first_in_data_collection last"),
    ],
)
def test_markers(tables: list[list[int]], markers: str) -> None:
    assert " ".join(marker for _, _, marker in _marked(tables)) == markers


def _debezium_markers(tables: list[int]) -> list[str]:
    """Mark tables, each given as its number of rows, by Debezium's rule."""
    markers = []
    for i, rows in enumerate(tables):
        for j in range(rows):
            if j == rows - 1 and i == len(tables) - 1:
                markers.append("last")
            elif i == j == 0:
                markers.append("first")
            elif j == rows - 1:
                markers.append("last_in_data_collection")
            else:
                markers.append("first_in_data_collection" if j == 0 else "true")
    # Whatever comes last is marked so.
    return [*markers[:-1], *["last" for _ in markers[-1:]]]


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5))
def test_markers_are_debeziums(tables: list[list[int]]) -> None:
    expected = _debezium_markers([sum(batches) for batches in tables])
    assert [marker for _, _, marker in _marked(tables)] == expected


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5))
def test_how_rows_come_makes_no_difference(tables: list[list[int]]) -> None:
    assert _marked(tables) == _marked([[sum(batches)] for batches in tables])
    expected = [
        (number, row) for number, batches in enumerate(tables) for row in range(sum(batches))
    ]
    assert [(table, row) for table, row, _ in _marked(tables)] == expected
