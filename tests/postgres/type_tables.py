"""Rows of every type, as pgoutput sends them in text and in binary."""

from __future__ import annotations

import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from pglogical_cdc.events import ChangeAssembler, Insert, Row
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.blocking import converse
from pglogical_cdc.postgres.catalog import one_table
from pglogical_cdc.postgres.loaders import PsycopgLoaders
from pglogical_cdc.postgres.parameters import parameters
from pglogical_cdc.protocol import PgoutputParser, RelationMessage

if TYPE_CHECKING:
    from psycopg.adapt import AdaptersMap

    from tests.servers import Database

__all__ = ("Rows", "connect", "has_vector", "inserted", "make_type_tables", "same")

Rows = dict[tuple[str, object], Row]
"""Rows by table and id."""

_SCHEMA: Final = Path(__file__).parents[1] / "golden" / "workload" / "types.sql"
_MORE: Final = Path(__file__).with_name("more_types.sql")


def connect(database: Database) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection with the session settings of the reader's."""
    connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
        **parameters(database.dsn), autocommit=True
    )
    database.connections.append(connection)
    return connection


def has_vector(database: Database) -> bool:
    """Tell whether the server has the extension pgvector."""
    query = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
    return database.execute(query) == [(1,)]


def _has_xml(database: Database) -> bool:
    try:
        database.execute("SELECT xml '<a/>'")
    except psycopg.errors.FeatureNotSupported:
        return False  # built without libxml
    return True


def make_type_tables(database: Database) -> None:
    """Create the tables ``types_*`` and ``isbn_t``, with nothing in them."""
    script = _script(_SCHEMA.read_text(), vector=has_vector(database))
    if not _has_xml(database):
        script = script.replace("'<a x=\"1\">t</a>'", "NULL").replace(
            "ARRAY['<a/>'::xml,NULL]", "NULL"
        )
    database.execute(script)
    database.execute(_MORE.read_text())


def _script(text: str, *, vector: bool) -> str:
    lines: list[str] = []
    kept = True
    for line in text.splitlines():
        if line == r"\if :has_vector":
            kept = vector
        elif line == r"\endif":
            kept = True
        elif kept:
            lines.append(line)
    return "\n".join(lines)


def fill_type_tables(database: Database) -> None:
    """Fill the tables with a procedure's call each."""
    for call in ("fill_scalar(0)", "fill_array(0)", "fill_edge()", "fill_made()", "fill_rest()"):
        database.execute(f"CALL {call}")
    database.execute("INSERT INTO isbn_t VALUES (1, '978-0-393-04002-9', '{9780393040029,NULL}')")
    if database.server.version >= 17:  # no infinite intervals before
        database.execute(
            "INSERT INTO types_edge (id, e_interval) VALUES (168, 'infinity'), (169, '-infinity')"
        )


def inserted(
    database: Database, adapters: AdaptersMap | None = None, *, known: bool = True
) -> tuple[Rows, Rows]:
    """Fill the tables and read what was inserted from a slot: in text, and in binary.

    Args:
        database: has the tables.
        adapters: for the loaders.
        known: whether the relations have their catalog.
    """
    slot = f"types_{uuid.uuid4().hex[:12]}"
    database.execute("CREATE PUBLICATION in_text FOR ALL TABLES")
    # isbn has no binary form: the server cannot send a table with it in binary.
    names = "types_scalar, types_array, types_edge, types_made, types_rest"
    database.execute(f"CREATE PUBLICATION in_binary FOR TABLE {names}")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    fill_type_tables(database)
    if has_vector(database):
        database.execute(
            "INSERT INTO types_scalar (id, c_vector, c_halfvec, c_sparsevec)"
            " VALUES (20, '[1,2.5,-3]', '[1,2.5,-3]', '{1:1.5,3:2}/5')"
        )
        database.execute("INSERT INTO types_array (id, a_vector) VALUES (20, '{\"[1,2,3]\",NULL}')")
    with connect(database) as connection:
        text = _read(connection, slot, adapters, binary=False, known=known)
        binary = _read(connection, slot, adapters, binary=True, known=known)
    return text, binary


def _read(
    connection: psycopg.Connection[tuple[Any, ...]],
    slot: str,
    adapters: AdaptersMap | None,
    *,
    binary: bool,
    known: bool,
) -> Rows:
    cursor = connection.execute(
        "SELECT lsn, data FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', %s, 'binary', %s)",
        [slot, *(("in_binary", "true") if binary else ("in_text", "false"))],
    )
    parser = PgoutputParser(protocol_version=1)
    assembler = ChangeAssembler(database="test", loaders=PsycopgLoaders(adapters))
    rows: Rows = {}
    for lsn, data in cursor.fetchall():
        message = parser.parse(data)
        catalog = None
        if known and isinstance(message, RelationMessage):
            catalog = converse(connection, one_table(message.relation_id))
            assert catalog is not None
        for change in assembler.assemble(message, LSN.parse(str(lsn)), catalog):
            assert isinstance(change, Insert)
            rows[change.table, change.after["id"]] = change.after
    return rows


def same(one: object, other: object) -> bool:
    """Tell whether two values are of equal types and equal; NaN is equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, (list, tuple, Multirange)):
        assert isinstance(other, (list, tuple, Multirange))
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Range):
        assert isinstance(other, Range)
        return (
            one.bounds == other.bounds
            and same(one.lower, other.lower)
            and same(one.upper, other.upper)
        )
    # Also tells 1.0 from 1.00, and -0.0 from 0.0.
    return repr(one) == repr(other)
