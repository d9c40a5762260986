"""Rows of a snapshot of which there are records only."""

from __future__ import annotations

from pglogical_cdc.events import Row, SnapshotRead, SnapshotRun
from pglogical_cdc.lsn import LSN
from tests.formatters.tables import column, relation


def test_it_stands_where_its_last_row_stands() -> None:
    table = relation(column("id", "int4"))
    last = SnapshotRead(LSN(16), None, 0, table, Row(table, [b"9"]), "true", 9)
    run = SnapshotRun(
        LSN(16), None, 0, table, Row(table, ()), "true", 9, rows=5, records=["secret"]
    )
    assert run.position == last.position
    assert (run.op, run.number, run.rows) == ("read", 9, 5)
    assert "secret" not in repr(run)
