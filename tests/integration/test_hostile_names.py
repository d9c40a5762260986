"""Names that try to be commands stay names, from publication to column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from psycopg import sql

from pglogical_cdc.postgres.options import quote_identifier
from tests.reading import read

if TYPE_CHECKING:
    from tests.servers import Database

NAMES: Final = (
    "quote\"s and 'apostrophes'",
    "x; DROP TABLE victim; --",
    "'); DROP TABLE victim; --",
    'p", "q',
    "back\\slash\\'",
    "comma,comma",
    "dot.dot",
    "percent %s {} $1",
    "line\nbreak",
    "Größe 表 🐘",
    "é" * 31 + "x",
    " ",
)


@pytest.mark.pg
@pytest.mark.parametrize("name", NAMES)
def test_hostile_name(database: Database, slot_name: str, name: str) -> None:
    database.execute("CREATE TABLE victim (id int)")
    database.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    database.execute(f"ALTER DATABASE {database.name} SET log_replication_commands = on")
    quoted = sql.Identifier(name)
    database.execute(sql.SQL("CREATE SCHEMA {}").format(quoted))
    table = sql.Identifier(name, name)
    database.execute(
        sql.SQL("CREATE TABLE {} ({} int PRIMARY KEY, other text)").format(table, quoted)
    )
    log = database.server.embedded.log
    before = log.stat().st_size
    options = {
        "publications": name,
        "create": True,
        "tables": [f"{quote_identifier(name)}.{quote_identifier(name)}"],
    }
    assert read(database, slot_name, **options) == []
    database.execute(sql.SQL("INSERT INTO {} VALUES (1, 'x')").format(table))
    (change,) = read(database, slot_name, **options)
    assert (change.schema, change.table, change.key) == (name, name, {name: 1})
    assert database.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'victim'") == [(1,)]
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(before)
        logged = file.read()
    assert "START_REPLICATION" in logged
    assert "statement: DROP" not in logged
    assert "syntax error" not in logged
