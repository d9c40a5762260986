"""Fold: a consumer that keeps a copy of the tables, and notices what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import sql

from pglogical_cdc import (
    LSN,
    UNCHANGED,
    Change,
    Delete,
    Insert,
    Position,
    SnapshotRead,
    Truncate,
    Update,
)
from tests.snapshot.writers import TABLES

__all__ = ("Fold", "Tables", "read_tables")

Tables = dict[str, dict[object, dict[str, object]]]
"""Rows by key, by table."""

_KEY: Final = "id"


class Fold:
    """Applies changes to a copy.

    Args:
        strict: whether each change has to fit what is there. It need not where changes may come
            again because the consumer was killed.
    """

    def __init__(self, *, strict: bool) -> None:
        self.tables: Tables = {name: {} for name in TABLES}
        self.read = 0
        """Rows of the snapshot."""
        self.rows = 0
        """Those, and the rows of snapshots before it that were begun anew."""
        self.changes = 0
        """Changes of the stream."""
        self.emptied: set[str] = set()
        """Tables of which a TRUNCATE came, before which a snapshot may find nothing."""
        self.unfit: dict[str, str] = {}
        """What did not fit, by table. A TRUNCATE makes it good: what it removed is not in the
        snapshot any more when that reads the table after it, but still in the stream before it."""
        self.history: list[str] = []
        """What emptied tables of the copy: snapshots that began, and TRUNCATE."""
        self._strict = strict
        self.last = Position(LSN(0), 0)
        """Of the changes of the stream."""

    def begin_anew(self) -> None:
        """Empty the copy: a snapshot begins anew after a crash, and may find no row at all."""
        self.history.append("a new snapshot")
        self.tables = {name: {} for name in TABLES}
        self.read = 0

    def apply(self, change: Change) -> None:
        """Apply a change; one that came before, in a transaction that was cut off, does nothing."""
        assert change.table is not None
        if not isinstance(change, SnapshotRead):
            if change.position <= self.last:
                return
            self.last = change.position
            self.changes += 1
        rows = self.tables[change.table]
        match change:
            case SnapshotRead(snapshot="incremental", after=after):
                self.read += 1
                self.rows += 1
                rows[after[_KEY]] = dict(after)
            case SnapshotRead(after=after):
                self.read += 1
                self.rows += 1
                assert after[_KEY] not in rows, "a row of the snapshot comes twice"
                rows[after[_KEY]] = dict(after)
            case Insert(after=after):
                self._expect(change, after[_KEY] not in rows)
                rows[after[_KEY]] = dict(after)
            case Update(before=before, after=after):
                old = after[_KEY] if before is None else before[_KEY]
                self._expect(change, old in rows)
                known = rows.pop(old, {})
                rows[after[_KEY]] = {
                    name: known.get(name) if value is UNCHANGED else value
                    for name, value in after.items()
                }
            case Delete(before=before):
                self._expect(change, before[_KEY] in rows)
                rows.pop(before[_KEY], None)
            case Truncate():
                self.history.append(f"TRUNCATE {change.table} at {change.position}")
                rows.clear()
                self.emptied.add(change.table)
                self.unfit.pop(change.table, None)
            case _:
                raise AssertionError(f"{change!r} was not expected")

    @property
    def has_read(self) -> bool:
        """Whether rows of a snapshot came, or none could."""
        return self.read > 0 or self.emptied == set(TABLES)

    def _expect(self, change: Change, fits: bool) -> None:
        if self._strict and not fits:
            self.unfit[change.table or ""] = repr(change)


def read_tables(dsn: str) -> Tables:
    """Read what the server has."""
    found: Tables = {}
    with psycopg.connect(dsn) as connection:
        for name in TABLES:
            query = sql.SQL("SELECT id, n, v FROM {}").format(sql.Identifier(name))
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
            found[name] = {id_: {"id": id_, "n": n, "v": v} for id_, n, v in rows}
    return found


def differences(found: Tables, expected: Tables) -> list[str]:
    """Say what differs, without the values."""
    said = []
    for name in TABLES:
        mine: Mapping[object, object] = found[name]
        theirs: Mapping[object, object] = expected[name]
        wrong = [key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key]]
        for what, keys in (
            ("missing", theirs.keys() - mine.keys()),
            ("surplus", mine.keys() - theirs.keys()),
            ("other", wrong),
        ):
            if keys:
                said.append(f"{name}: {len(keys)} {what}")
    return said
