"""All types: values, NULL, arrays, TOAST, keys of every type, and what alters columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.conformance.workloads.workload import CHANGES, SCHEMAS, Workload

__all__ = ("TYPES",)

_TYPES: Final = """
    CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
    CREATE EXTENSION isn; CREATE EXTENSION vector;
    CREATE SCHEMA other;
    CREATE TYPE other.mood AS ENUM ('a', 'b c', 'd,e');
    CREATE DOMAIN positive AS int CHECK (value > 0);
    CREATE DOMAIN word AS varchar(8) DEFAULT 'dom';
    CREATE DOMAIN amount AS numeric(8, 3);
    CREATE DOMAIN amounts AS amount;
    CREATE DOMAIN instant AS timestamp(2);
    CREATE DOMAIN numbers AS int[];
    CREATE DOMAIN stores AS hstore;
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE floats AS RANGE (subtype = float8);
"""
_VALUES: Final[Sequence[tuple[str, str, str]]] = (
    *(("bool", "true", "false"), ("int2", "1", "2"), ("int4", "1", "2"), ("int8", "1", "2")),
    *(("float4", "1.5", "-0"), ("float8", "1.5", "NaN"), ("numeric", "1.50", "2")),
    *(("numeric(8,3)", "1.5", "2"), ("money", "1.5", "-2.25"), ("text", "t", "u")),
    *(("varchar", "t", "u"), ("varchar(5)", "t", "u"), ("char(4)", "t", "u"), ('"char"', "t", "u")),
    *(("name", "n", "m"), ("citext", "T", "u"), ("bytea", "\\x00ff", "\\x01")),
    *(("date", "2020-01-02", "0044-03-15 BC"), ("time", "01:02:03.5", "24:00")),
    *(("time(3)", "01:02:03.5", "24:00"), ("timetz", "01:02:03+02", "00:00-12")),
    *(("timestamp", "2020-01-02 03:04:05.5", "infinity"),),
    *(("timestamp(4)", "2020-01-02 03:04:05.1234", "2021-01-01"),),
    *(("timestamptz", "2020-01-02 03:04:05.5+00", "infinity"),),
    *(("timestamptz(2)", "2020-01-02 03:04:05.5+00", "2021-01-01"),),
    *(("interval", "1 day", "-3 mons 2 days"), ("json", '{"a": 1}', "[]")),
    *(("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),),
    *(("jsonb", '{"a": 1}', "[]"), ("xml", "<a/>", "<b/>"), ("inet", "1.2.3.4", "::1")),
    *(("cidr", "10.0.0.0/8", "::/0"), ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04")),
    *(("macaddr8", "08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06"), ("bit", "1", "0")),
    *(("bit(9)", "101010101", "000000000"), ("varbit", "101", ""), ("varbit(1)", "1", "")),
    *(("varbit(5)", "101", "0"), ("point", "(1,2)", "(0,-0.5)"), ("int4range", "[1,5)", "empty")),
    *(("numrange", "[1.0,5)", "(,)"), ("tsrange", "[2020-01-01,)", "empty")),
    *(("tstzrange", "[2020-01-01 00:00+00,)", "empty"), ("daterange", "empty", "[2020-01-01,)")),
    *(("oid", "5", "4294967295"), ("hstore", "a=>1,b=>NULL", ""), ("ltree", "a.b", "")),
    *(("tsvector", "a:1 b", "c"), ("other.mood", "a", "b c")),
    *(("positive", "1", "2"), ("word", "x", "y"), ("amount", "1.5", "2"), ("amounts", "1.5", "2")),
    *(("instant", "2020-01-02 03:04:05.12", "2021-01-01"), ("numbers", "{1,2}", "{}")),
    *(("vector(3)", "[1,2,3]", "[0,0,1]"), ("halfvec(2)", "[1,2]", "[0,1]")),
    *(("sparsevec(5)", "{1:1.5,3:2}/5", "{}/5"), ("sparsevec", "{1:1}/32768", "{2:1}/32767")),
    *(("isbn", "978-0-393-04002-9", "0-306-40615-2"), ("box", "(2,2),(0,0)", "(1,1),(0,0.5)")),
    *(("circle", "<(1,2),3>", "<(0,0),1>"), ("line", "{1,2,3}", "{1,0,0}")),
    *(("lseg", "[(1,2),(3,4)]", "[(0,0),(1,1)]"), ("path", "((1,2),(3,4))", "[(0,0),(1,1)]")),
    *(("polygon", "((1,2),(3,4),(5,6))", "((0,0),(1,1),(2,0))"), ("pair", "(1,x)", '(,"a b")')),
    *(("floats", "[1.5,2)", "empty"), ("int4multirange", "{[1,3)}", "{}"), ("xid8", "5", "6")),
    *(("xid", "5", "6"), ("cid", "5", "6"), ("tid", "(1,2)", "(3,4)")),
    *(("pg_lsn", "16/B374D848", "0/0"), ("jsonpath", "$.a", "$"), ("tsquery", "a & b", "'c'")),
    *(("regclass", "pg_class", "pg_type"), ("regproc", "now", "pg_sleep")),
    *(("oidvector", "1 2", ""), ("int2vector", "1 2", "3"), ("refcursor", "c", "d")),
    *(
        ("lquery", "a.*", "b"),
        ("txid_snapshot", "10:20:10,14", "1:1:"),
        ("upc", "220356483481", "036000291452"),
    ),
)
_NO_ARRAYS: Final = ("varbit(1)", "varbit(5)", "upc", "amounts", "instant")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _columns() -> list[tuple[str, str, str, str]]:
    """Return name, type and two values of each column."""
    scalars = [
        (f"s{i}", type, f"{_quoted(a)}::{type}", f"{_quoted(b)}::{type}")
        for i, (type, a, b) in enumerate(_VALUES)
    ]
    arrays = [
        (f"a{i}", f"{type}[]", f"ARRAY[{_quoted(a)}, {_quoted(b)}]::{type}[]", f"'{{}}'::{type}[]")
        for i, (type, a, b) in enumerate(_VALUES)
        if type not in _NO_ARRAYS
    ]
    return scalars + arrays


_COLUMNS: Final = _columns()
_NAMES: Final = ", ".join(name for name, *_ in _COLUMNS)
_FIRST: Final = ", ".join(first for _, _, first, _ in _COLUMNS)
_SECOND: Final = ", ".join(second for *_, second in _COLUMNS)
_NULLS: Final = ", ".join("NULL" for _ in _COLUMNS)
_DECLARED: Final = ", ".join(f"{name} {type}" for name, type, *_ in _COLUMNS)

_TEXT: Final = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 100) g)"
_LONG: Final[Sequence[tuple[str, str]]] = (
    *((type, _TEXT) for type in ("text", "varchar", "varchar(5000)", "char(4000)", "citext")),
    *(("json", f"to_json({_TEXT})"), ("jsonb", f"to_jsonb({_TEXT})")),
    *(("xml", f"('<a>' || {_TEXT} || '</a>')::xml"), ("bytea", f"convert_to({_TEXT}, 'UTF8')")),
    *(("numeric", "repeat('123456789', 500)::numeric"),),
    *(("varbit", "repeat('10', 20000)::varbit"), ("hstore", f"hstore('a', {_TEXT})")),
    *(("stores", f"hstore('a', {_TEXT})::stores"),),
    *(("path", "(SELECT ('(' || string_agg('(1,2)', ',') || ')')::path"
               " FROM generate_series(1, 500))"),),
    *(("pair", f"ROW(1, {_TEXT})::pair"), ("word[]", "array_fill('w'::word, '{3000}')")),
    *(("numbers", "array_fill(5, '{3000}')"), ("char(4)[]", "array_fill('c'::char(4), '{3000}')")),
    *(("vector(2000)", "array_fill(1.5::float8, '{2000}')::vector"),),
)  # fmt: skip
_LONG_NAMES: Final = ", ".join(f"x{i}" for i, _ in enumerate(_LONG))
_LONG_DECLARED: Final = ", ".join(
    f"x{i} {type} STORAGE EXTERNAL" for i, (type, _) in enumerate(_LONG)
)

_ALL: Final = r"public\.(all_\w+|long)\..*"

TYPES: Final = Workload(
    schema=f"""
        {_TYPES}
        CREATE TABLE all_whole (id int PRIMARY KEY, {_DECLARED});
        ALTER TABLE all_whole REPLICA IDENTITY FULL;
        CREATE TABLE all_by_key (id int PRIMARY KEY, {_DECLARED});
        CREATE TABLE long (id int PRIMARY KEY, z int, {_LONG_DECLARED});
    """,
    parts=(
        (
            "all",
            f"""
            INSERT INTO all_whole (id, {_NAMES})
                VALUES (1, {_FIRST}), (2, {_SECOND}), (3, {_NULLS});
            UPDATE all_whole SET id = id;
            UPDATE all_whole SET ({_NAMES}) = (SELECT {_SECOND}) WHERE id = 1;
            UPDATE all_whole SET ({_NAMES}) = (SELECT {_FIRST}) WHERE id = 3;
            UPDATE all_whole SET id = id + 10;
            DELETE FROM all_whole;
            INSERT INTO all_by_key (id, {_NAMES}) VALUES (1, {_FIRST});
            UPDATE all_by_key SET id = 2;
            DELETE FROM all_by_key;
            """,
        ),
        (
            "long",
            f"""
            INSERT INTO long (id, z, {_LONG_NAMES})
                SELECT 1, 1, {", ".join(value for _, value in _LONG)};
            UPDATE long SET z = 2;
            UPDATE long SET id = 2;
            DELETE FROM long;
            """,
        ),
    ),
    configurations={
        "plain": {**SCHEMAS, "skip.messages.without.change": "true"},
        "texts": {
            **SCHEMAS,
            "include.unknown.datatypes": "true",
            "decimal.handling.mode": "string",
            "hstore.handling.mode": "map",
            "binary.handling.mode": "hex",
            "time.precision.mode": "isostring",
            "interval.handling.mode": "string",
            "column.propagate.source.type": ".*",
            "unavailable.value.placeholder": "q\"\\ü😀'",
        },
        "dropped": {
            **SCHEMAS,
            **CHANGES,
            "transforms.unwrap.drop.fields.header.name": "Unchanged",
            "include.unknown.datatypes": "true",
            "time.precision.mode": "connect",
            "decimal.handling.mode": "double",
            "binary.handling.mode": "base64",
            "unavailable.value.placeholder": "hex:E282AC22",
        },
        "truncated": {**SCHEMAS, "column.truncate.to.3.chars": _ALL},
        "truncated_texts": {
            **SCHEMAS,
            "column.truncate.to.1.chars": _ALL,
            "include.unknown.datatypes": "true",
            "decimal.handling.mode": "string",
            "binary.handling.mode": "hex",
            "time.precision.mode": "isostring",
            "interval.handling.mode": "string",
        },
        "masked": {
            **SCHEMAS,
            "column.mask.with.7.chars": _ALL,
            "unavailable.value.placeholder": "é😀",
            "column.propagate.source.type": r".*\.s\d*[02468]",
        },
        "hashed": {"column.mask.hash.SHA-1.with.salt.é ü": _ALL},
    },
)
