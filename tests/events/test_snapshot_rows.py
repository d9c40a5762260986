"""Rows of a snapshot that are not changes yet."""

from __future__ import annotations

from pglogical_cdc.events import SnapshotPoint, SnapshotRows
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import CopyRowParser, TextColumns
from tests.formatters.tables import column, relation

_TABLE = relation(column("id", "int4"), column("v"), primary_key=["id"])
_POINT = SnapshotPoint(7, 1_700_000_000_000_000)


def test_rows_as_changes_and_by_column() -> None:
    values = CopyRowParser(2).rows([b"1\tcanary\n", b"2\t\\N\n"])
    rows = SnapshotRows(_TABLE, LSN(16), _POINT, values)
    assert len(rows) == 2
    changes = list(rows.changes())
    assert [change.key for change in changes] == [{"id": "1"}, {"id": "2"}]
    assert {(change.lsn, change.snapshot) for change in changes} == {(LSN(16), "true")}
    assert all(change.taken is _POINT for change in changes)
    assert rows.columns() == TextColumns([["1", "2"], ["canary", None]], frozenset({1}))
    assert "canary" not in repr(rows)


def test_values_that_were_parsed_have_no_columns_of_text() -> None:
    assert SnapshotRows(_TABLE, LSN(16), _POINT, [(b"1", b"a")]).columns() is None
