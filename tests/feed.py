"""A stream of changes for tests without a server: from wire bytes through parser and assembler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pglogical_cdc.events import Change, ChangeAssembler, TableCatalog, Transaction
from pglogical_cdc.protocol import PgoutputParser
from tests import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pglogical_cdc.protocol import ColumnValue

__all__ = ("COMMITTED_AT", "Feed")

COMMITTED_AT = 820_540_800_000_000 + 4_005_006
"""Microseconds from 2000-01-01 to 2026-01-01 00:00:04.005006 UTC."""


class Feed:
    """Plays a server: each method sends one message and gives the changes that it makes."""

    def __init__(self, *, lsn: int = 0x2_0000_1000, xid: int = 700) -> None:
        self._parser = PgoutputParser(protocol_version=1)
        self._assembler = ChangeAssembler(database="shop")
        self._lsn = lsn
        self._xid = xid
        self._commit_lsn = 0

    @property
    def transaction(self) -> Transaction:
        """The open transaction."""
        assert self._assembler.transaction is not None
        return self._assembler.transaction

    def send(self, message: bytes, catalog: TableCatalog | None = None) -> Sequence[Change]:
        """Take the bytes of one pgoutput message."""
        self._lsn += 0x38
        return self._assembler.assemble(self._parser.parse(message), self._lsn, catalog)

    def begin(self, *, xid: int | None = None) -> Transaction:
        self._commit_lsn = self._lsn + 0x10000
        self._xid = self._xid + 1 if xid is None else xid
        self.send(wire.begin(self._commit_lsn, COMMITTED_AT, self._xid))
        return self.transaction

    def commit(self) -> None:
        self._lsn = self._commit_lsn + 0x30
        self.send(wire.commit(self._commit_lsn, self._lsn, COMMITTED_AT))

    def table(
        self,
        relation_id: int,
        schema: str,
        name: str,
        columns: Sequence[tuple[str, int] | tuple[str, int, int]],
        *,
        key: Sequence[str] = (),
        identity: str = "d",
        catalog: TableCatalog | None = None,
    ) -> Sequence[Change]:
        """Describe a table; `columns` are name, type OID and type modifier (-1 if left out)."""
        described = [
            (int(name in key or identity == "f"), name, oid, modifier[0] if modifier else -1)
            for name, oid, *modifier in columns
        ]
        message = wire.relation(relation_id, schema, name, described, replica_identity=identity)
        return self.send(message, catalog)

    def insert(self, oid: int, *new: ColumnValue | str) -> Change:
        return self._one(wire.insert(oid, new))

    def update(
        self,
        oid: int,
        *new: ColumnValue | str,
        key: Sequence[ColumnValue | str] | None = None,
        old: Sequence[ColumnValue | str] | None = None,
    ) -> Change:
        return self._one(wire.update(oid, new, key=key, old=old))

    def delete(
        self,
        oid: int,
        *,
        key: Sequence[ColumnValue | str] | None = None,
        old: Sequence[ColumnValue | str] = (),
    ) -> Change:
        return self._one(wire.delete(oid, key=key, old=old))

    def _one(self, message: bytes) -> Change:
        (change,) = self.send(message)
        return change
