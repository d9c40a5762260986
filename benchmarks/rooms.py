"""The rooms that a change or a row of a snapshot walks through, one by one and without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks import backlog
from pglogical_cdc import lsn
from pglogical_cdc.events import (
    Change,
    ChangeAssembler,
    Insert,
    Relation,
    Row,
    SnapshotMarker,
    SnapshotPoint,
    SnapshotRead,
)
from pglogical_cdc.postgres import PsycopgLoaders
from pglogical_cdc.protocol import (
    CopyRowParser,
    Message,
    PgoutputParser,
    RelationMessage,
    TupleData,
)
from pglogical_cdc.snapshot.marks import Marks

__all__ = ("LSN", "assembled", "described", "parsed", "snapshot_reads")

LSN: Final = 0x1000
"""Of every message."""

_POINT: Final = lsn.LSN(LSN)
_TAKEN: Final = SnapshotPoint(700, 0)


def parsed(payloads: Sequence[bytes]) -> list[Message]:
    """Return the messages of payloads."""
    parse = PgoutputParser(protocol_version=1).parse
    return [parse(payload) for payload in payloads]


def assembled(
    messages: Sequence[Message], columns: backlog.Columns = backlog.COLUMNS
) -> list[Change]:
    """Return the changes of messages of a table whose columns are known."""
    assembler = ChangeAssembler(database="bench", loaders=PsycopgLoaders())
    for message in parsed(backlog.preamble(columns)):
        described = backlog.catalog(columns) if isinstance(message, RelationMessage) else None
        assembler.assemble(message, LSN, described)
    return [change for message in messages for change in assembler.assemble(message, LSN)]


def described(columns: backlog.Columns = backlog.COLUMNS) -> Relation:
    """Return the version of a table, as a change of it has it."""
    (change,) = assembled(parsed(backlog.inserts(1, columns)), columns)
    assert isinstance(change, Insert)
    return change.relation


def snapshot_reads(lines: Sequence[bytes], relation: Relation) -> list[SnapshotRead]:
    """Return the changes of rows that COPY has sent, as a snapshot makes them."""
    number = 0

    def make(relation: Relation, values: TupleData, marker: SnapshotMarker) -> SnapshotRead:
        nonlocal number
        number += 1
        row = Row(relation, values)
        return SnapshotRead(_POINT, None, 0, relation, row, marker, number, _TAKEN)

    marks, parse = Marks(make), CopyRowParser(len(relation.columns)).parse
    rows = [row for row in map(parse, lines) if row is not None]
    return [*marks.rows(relation, rows), *marks.end()]
