"""Control records of DMS for tables that a real server alters while they are read."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pglogical_cdc import Change, ControlRecord, DmsFormatter, Record
from tests.reading import make_slot, read, reader
from tests.servers import Database

pytestmark = pytest.mark.pg

_DDL: Final = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE people (
        id int PRIMARY KEY, name varchar(40) NOT NULL, price numeric(10,2), mood mood, tags text[]
    );
    CREATE TABLE bare (v text);
"""


def _formatter(**options: Any) -> DmsFormatter:
    return DmsFormatter(
        message_format="json-unformatted",
        include_table_alter_operations=True,
        include_control_details=True,
        **options,
    )


def _controls(records: list[Record]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for record in records:
        assert record.value is not None
        message = json.loads(record.value)
        assert isinstance(record, ControlRecord) is (
            message["metadata"]["record-type"] == "control"
        )
        if isinstance(record, ControlRecord):
            control = {**message["control"], "table": message["metadata"]["table-name"]}
            control.pop("table-def", None)
            found.append((message["metadata"]["operation"], control))
    return found


def _definition(records: list[Record]) -> dict[str, Any]:
    assert records[-2].value is not None
    definition = json.loads(records[-2].value)["control"]["table-def"]
    assert isinstance(definition, dict)
    return definition


def test_tables_altered_while_they_are_read(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, _DDL)
    formatter = _formatter()

    with reader(database, slot_name) as source:

        def after(*statements: str) -> list[Record]:
            """Run statements in one transaction and return the records that come of it."""
            database.execute("BEGIN;" + ";".join(statements) + ";COMMIT")
            records: list[Record] = []
            change: Change | None = None
            while change is None or change.op == "schema":
                # None comes at the end of each transaction.
                change = source.poll(30)
                records += formatter.format(change) if change is not None else ()
            return records

        first = after("INSERT INTO people VALUES (1, 'Ada', 1.5, 'sad', '{x}')")
        assert _controls(first) == [("create-table", {"table": "people"})]
        assert _definition(first) == {
            "columns": {
                "id": {"type": "INT32", "nullable": False},
                "name": {"type": "STRING", "length": 40, "nullable": False},
                "price": {"type": "NUMERIC", "precision": 10, "scale": 2, "nullable": True},
                "mood": {"type": "STRING", "length": 64, "nullable": True},
                "tags": {"type": "STRING", "nullable": True},
            },
            "primary-key": ["id"],
        }
        bare = after("INSERT INTO bare VALUES ('x')")
        assert _definition(bare) == {"columns": {"v": {"type": "STRING", "nullable": True}}}

        for number, (statement, expected) in enumerate(
            [
                (
                    "ALTER TABLE people RENAME name TO title",
                    [("rename-column", {"column-name": "title", "old-column-name": "name"})],
                ),
                (
                    "ALTER TABLE people DROP mood, ADD mood text, ALTER price TYPE numeric(12,3)",
                    [
                        ("drop-column", {"column-name": "mood"}),
                        ("column-type-change", {"column-name": "price"}),
                        ("add-column", {"column-name": "mood"}),
                    ],
                ),
                ("ALTER TABLE people ALTER price SET NOT NULL", []),
                (
                    "ALTER TABLE people RENAME tags TO spare; ALTER TABLE people RENAME title TO"
                    " tags",
                    [
                        ("rename-column", {"column-name": "spare", "old-column-name": "tags"}),
                        ("rename-column", {"column-name": "tags", "old-column-name": "title"}),
                    ],
                ),
            ],
            start=2,
        ):
            records = after(statement, f"UPDATE people SET id = {number}")
            expected = [(name, {**names, "table": "people"}) for name, names in expected]
            assert _controls(records) == expected
            assert len(records) == len(expected) + 1

        renamed = after("ALTER TABLE people RENAME TO persons", "UPDATE persons SET id = 9")
        old_name = {"old-schema-name": "public", "old-table-name": "people", "table": "persons"}
        assert _controls(renamed) == [("rename-table", old_name)]
        dropped = after(
            "DROP TABLE persons",
            "CREATE TABLE persons (id int PRIMARY KEY)",
            "INSERT INTO persons VALUES (1)",
        )
        assert _controls(dropped) == [
            ("drop-table", {"table": "persons"}),
            ("create-table", {"table": "persons"}),
        ]


def test_a_table_altered_before_it_is_read(database: Database, slot_name: str) -> None:
    """What the catalog no longer tells is not made up: the steps are still true."""
    make_slot(database, slot_name, _DDL)
    database.execute("INSERT INTO people VALUES (1, 'Ada', 1.5, 'sad', '{x}')")
    database.execute("ALTER TABLE people RENAME name TO title")
    database.execute("UPDATE people SET title = 'Eve'")
    formatter = _formatter()
    records = [each for change in read(database, slot_name) for each in formatter.format(change)]
    assert _controls(records) == [
        ("create-table", {"table": "people"}),
        ("drop-column", {"column-name": "name", "table": "people"}),
        ("add-column", {"column-name": "title", "table": "people"}),
    ]

    # Across two readers the formatter remembers.
    database.execute("ALTER TABLE people RENAME title TO name; UPDATE people SET name = 'Ann'")
    records = [each for change in read(database, slot_name) for each in formatter.format(change)]
    assert _controls(records) == [
        ("rename-column", {"column-name": "name", "old-column-name": "title", "table": "people"})
    ]
