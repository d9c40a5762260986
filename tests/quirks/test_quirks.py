"""What the page of Debezium's quirks shows is what is written."""

from __future__ import annotations

import pytest

from pglogical_cdc import NOT_SENT, DebeziumFormatter, Delete, Row, parse_debezium
from pglogical_cdc.events import CatalogType, Change
from tests.formatters.connect_json import faults_of_record
from tests.formatters.tables import column, relation
from tests.quirks.cases import BENT, IN_SNAPSHOTS, STOPPING, Quirk
from tests.quirks.page import changes_of, lines_of, sections_of_page
from tests.reading import make_slot, read
from tests.servers import Database

_QUIRKS = {quirk.name: quirk for quirk in (*STOPPING, *BENT, *IN_SNAPSHOTS)}


def test_the_page_has_every_quirk() -> None:
    assert list(sections_of_page()) == list(_QUIRKS)
    assert len(_QUIRKS) == len(STOPPING) + len(BENT) + len(IN_SNAPSHOTS)


def _check_schemas(quirk: Quirk, changes: list[Change], *, faithful: bool) -> list[str]:
    """Describe where a record does not fit the schema beside it."""
    formatter = DebeziumFormatter(
        topic_prefix="dbz", schemas_enable=True, faithful=faithful, **quirk.options
    )
    faults = []
    for change in changes:
        records = formatter.format(change)
        assert records, "every change gives a record"
        for record in records:
            for text in (record.key, record.value):
                faults += [] if text is None else faults_of_record(text)
            parse_debezium(record.value, record.key)
    return faults


@pytest.mark.pg
def test_every_quirk_is_as_the_page_shows_it(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name, "CREATE EXTENSION hstore")
    version = database.server.version
    expected, found = {}, {}
    for name, shown in sections_of_page().items():
        quirk = _QUIRKS[name]
        if version < quirk.minimum:
            continue
        changes = changes_of(database, slot_name, quirk)
        expected[name] = shown
        found[name] = lines_of(quirk, changes), lines_of(quirk, changes, faithful=True)
        for faithful in (False, True):
            assert _check_schemas(quirk, changes, faithful=faithful) == [], name
    assert len(found) >= len(_QUIRKS) - 3
    assert found == expected


_TOASTED = """
    INSERT INTO p SELECT 1, 1, repeat('123456789', 700)::numeric,
    (SELECT array_agg(g * 7919) FROM generate_series(1, 2000) g),
    decode(string_agg(md5(g::text), ''), 'hex'),
    jsonb_build_object('k', string_agg(md5(g::text), '')),
    hstore('k', string_agg(md5(g::text), '')),
    (SELECT array_agg(g / 7.0) FROM generate_series(1, 2000) g),
    (SELECT array_agg(md5(g::text) < '8') FROM generate_series(1, 9000) g),
    (SELECT array_agg('2024-01-01'::timestamptz + g * interval '1.234567h')
     FROM generate_series(1, 2000) g),
    (SELECT array_agg(g / 7.0) FROM generate_series(1, 2000) g),
    (SELECT array_agg('2024-01-01'::date + g * 13) FROM generate_series(1, 4000) g),
    (SELECT array_agg(md5(g::text)::uuid) FROM generate_series(1, 400) g)
    FROM generate_series(1, 400) g
"""


@pytest.mark.pg
def test_every_type_of_unchanged_value_in_a_column_that_is_not_null(
    database: Database, slot_name: str
) -> None:
    make_slot(database, slot_name, "CREATE EXTENSION hstore")
    database.execute(
        "CREATE TABLE p (id int PRIMARY KEY, s int, a numeric NOT NULL, b int[] NOT NULL,"
        " c bytea NOT NULL, d jsonb NOT NULL, e hstore, f float8[] NOT NULL, g bool[] NOT NULL,"
        " h timestamptz[] NOT NULL, i numeric(10,2)[] NOT NULL, j date[] NOT NULL,"
        " k uuid[] NOT NULL)"
    )
    database.execute(_TOASTED)
    database.execute("UPDATE p SET s = 2")
    changes = read(database, slot_name)

    assert [change.op for change in changes] == ["insert", "update"]
    update = changes[-1]
    assert update.after is not None
    absent = update.after.missing
    assert {"b", "c", "d", "e", "f", "g", "h", "i", "j", "k"} <= {*absent, "g"}
    quirk = Quirk("toasted", "", "", "")
    [line] = lines_of(quirk, changes)
    for name in ("f", "h", "i"):
        assert f'"{name}":null' in line
    [faithful] = lines_of(quirk, changes, faithful=True)
    for name in set(absent) - {"c", "d", "e"}:
        assert f'"{name}":' not in faithful
    for flag in (False, True):
        assert _check_schemas(quirk, changes, faithful=flag) == []


def test_a_sparse_vector_that_must_not_be_null_has_a_zero() -> None:
    """Debezium stops at such a delete: it has no zero that it could write."""
    sparsevec = CatalogType(16400, "public", "sparsevec", "b")
    table = relation(
        column("id", "int4", identity=True),
        column("x", "sparsevec", oid=16400),
        primary_key=["id"],
        not_null=["id", "x"],
        types=[sparsevec],
    )
    changes: list[Change] = [Delete(1, None, 0, table, Row(table, (b"1", NOT_SENT)))]
    quirk = Quirk("sparse", "", "", "")

    assert lines_of(quirk, changes) == [
        '{"id":1}: {"before":{"id":1,"x":{"dimensions":0,"vector":[]}}}'
    ]
    assert _check_schemas(quirk, changes, faithful=False) == []
