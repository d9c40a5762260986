"""Replays what the engines read, with the catalog as it was at each moment."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import attrs

from pglogical_cdc.events import CatalogType, Change, ChangeAssembler, Insert, TableCatalog
from pglogical_cdc.protocol import PgoutputParser, RelationMessage
from tests.golden import Folder, debezium_messages, pg_types, raw_messages, recorded_catalogs

__all__ = ("replay_changes", "replay_first_run")

_Catalogs = Sequence[Mapping[int, TableCatalog]]
_FIRST_OWN_OID = 16384


@functools.cache
def replay_changes(stream: str = "raw_pgoutput_v1") -> tuple[Change, ...]:
    """Return the changes of a recorded stream."""
    return _replayed(debezium_messages(stream), recorded_catalogs())


@functools.cache
def replay_first_run(stream: str, folder: Folder = "") -> tuple[Change, ...]:
    """Return the changes of a stream of the first run, of which there is no such catalog.

    Its tables were the same, so that those of the recorded run serve, with the first run's OIDs.
    """
    prefix = f"{folder}/" if folder else ""
    messages = raw_messages(f"{prefix}{stream}")
    oids = {
        str(row["typname"]): int(row["oid"])
        for row in pg_types(folder)
        if int(row["oid"]) >= _FIRST_OWN_OID
    }
    tables = {}
    parser = PgoutputParser(protocol_version=1)
    for _, _, payload in messages:
        message = parser.parse(payload)
        if isinstance(message, RelationMessage):
            tables[message.namespace, message.relation_name] = message.relation_id
    catalogs = [
        {
            tables[table.schema, table.table]: _translated(table, tables, oids)
            for table in part.values()
            if (table.schema, table.table) in tables
        }
        for part in recorded_catalogs()
    ]
    return _replayed(messages, catalogs)


def _translated(
    table: TableCatalog, tables: Mapping[tuple[str, str], int], oids: Mapping[str, int]
) -> TableCatalog:
    others = {oid: oids[found.name] for oid, found in table.types.items() if found.name in oids}

    def oid_of(oid: int) -> int:
        return others.get(oid, oid)

    def type_of(found: CatalogType) -> CatalogType:
        return attrs.evolve(
            found,
            oid=oid_of(found.oid),
            array_oid=oid_of(found.array_oid),
            element_oid=oid_of(found.element_oid),
            base_oid=oid_of(found.base_oid),
            subtype_oid=oid_of(found.subtype_oid),
            fields=tuple((name, oid_of(oid)) for name, oid in found.fields),
        )

    return attrs.evolve(
        table,
        oid=tables[table.schema, table.table],
        columns=tuple(
            attrs.evolve(column, type_oid=oid_of(column.type_oid)) for column in table.columns
        ),
        types={oid_of(oid): type_of(found) for oid, found in table.types.items()},
    )


def _replayed(
    messages: Iterable[tuple[int, int, bytes]], catalogs: _Catalogs
) -> tuple[Change, ...]:
    parser = PgoutputParser(protocol_version=1)
    assembler = ChangeAssembler(database="cap")
    changes: list[Change] = []
    part = 0
    for lsn, _xid, payload in messages:
        message = parser.parse(payload)
        known = None
        if isinstance(message, RelationMessage):
            known = catalogs[part].get(message.relation_id)
        made = assembler.assemble(message, lsn, known)
        changes += made
        # Each part of the workload ends with a row of this table.
        part += sum(isinstance(each, Insert) and each.table == "sync_marker" for each in made)
    return tuple(changes)
