"""Random tables, of random types, with random values, and random changes of their rows.

A workload is made of a seed, and the same seed makes the same workload. What stops the real
connector is left out on purpose (`tests.quirks` has it): ``timetz`` with seconds
in its offset, domains over enums, NULL-like values where the column is NOT NULL.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.conformance.workloads.workload import Properties, Workload

__all__ = ("EXTENSIONS", "random_tables")

EXTENSIONS: Final = ("hstore", "ltree", "citext", "isn", "vector")

_Literal = Callable[[random.Random], str]


@dataclass(frozen=True)
class _Type:
    """A column type, and how values of it are written in SQL."""

    sql: str
    literal: _Literal
    defaults: tuple[str, ...] = ()
    key: bool = True
    """Whether it has a btree operator class and no value that a key must not have."""
    array: bool = True
    """Whether an array of it is worth a column."""
    required: bool = True
    """Whether every value of it can stand in a NOT NULL column."""
    required_array: bool = True
    """Whether every array of it can, without NULL elements."""


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- literals

_ALPHABET: Final = (
    *"abcXYZ 019_-.,;:!?/\\\"'{}[]()<>=%$&\t\n\r\x01\x1f\x7f",
    *"äé߀日本語\u2028\ufeff😀👩\u200d👧",
)


def _text(r: random.Random, longest: int = 12) -> str:
    return "".join(r.choice(_ALPHABET) for _ in range(r.randint(0, longest)))


def _integer(bits: int) -> _Literal:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def literal(r: random.Random) -> str:
        number = r.choice((0, 1, -1, low, high, r.randint(low, high), r.randint(-1000, 1000)))
        return f"'{number}'"

    return literal


def _number(r: random.Random, digits: int, scale: int) -> str:
    whole = r.randint(0, 10 ** r.randint(0, digits - scale) - 1) if digits > scale else 0
    fraction = f".{r.randint(0, 10**scale - 1):0{scale}d}" if scale else ""
    return f"'{r.choice(('', '-'))}{whole}{fraction}'"


def _numeric(r: random.Random) -> str:
    if r.random() < 0.1:
        return r.choice(("'0'", "'0.000'", "'1000000'", "'-0.00'", "'1e-20'", "'1e40'", "'100.00'"))
    return _number(r, r.randint(1, 40), r.randint(0, 12)) if r.random() < 0.9 else "'1'"


def _float(r: random.Random) -> str:
    kind = r.randrange(6)
    if kind == 0:
        return r.choice(("'NaN'", "'Infinity'", "'-Infinity'", "'0'", "'-0'", "'1e-37'", "'3e38'"))
    if kind == 1:
        return f"'{r.randint(-(10**9), 10**9)}'"
    if kind == 2:
        return f"'{round(r.uniform(-1000, 1000), r.randint(0, 6))}'"
    return f"'{r.uniform(-1, 1) * 10 ** r.randint(-30, 30)!r}'"


def _date(r: random.Random) -> str:
    if r.random() < 0.1:
        return r.choice(("'infinity'", "'-infinity'", "'0044-03-15 BC'", "'5874897-12-31'"))
    return f"'{r.randint(1, 9999):04d}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}'"


def _time_text(r: random.Random) -> str:
    fraction = r.choice(("", f".{r.randint(0, 999999):06d}", f".{r.randint(0, 9)}"))
    return f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}{fraction}"


def _time(r: random.Random) -> str:
    return "'24:00:00'" if r.random() < 0.05 else f"'{_time_text(r)}'"


def _zone(r: random.Random) -> str:
    return f"{r.choice('+-')}{r.randint(0, 14):02d}:{r.choice((0, 15, 30, 45)):02d}"


def _timestamp(r: random.Random, far: bool = True) -> str:
    if far and r.random() < 0.1:
        return r.choice(
            ("'infinity'", "'-infinity'", "'0044-03-15 01:02:03.5 BC'", "'294276-12-31 23:59:59.9'")
        )
    year = r.randint(1, 9999) if far else r.randint(1700, 2200)
    return f"'{year:04d}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {_time_text(r)}'"


def _timestamptz(r: random.Random) -> str:
    text = _timestamp(r)
    return text if not text[-2].isdigit() else f"{text[:-1]}{_zone(r)}'"


def _interval(r: random.Random) -> str:
    parts = [
        f"{r.randint(-99, 99)} {unit}"
        for unit in ("years", "mons", "days", "hours", "mins")
        if r.random() < 0.4
    ]
    parts.append(f"{round(r.uniform(-99, 99), r.randint(0, 6))} secs")
    return f"'{' '.join(parts)}'"


def _json(r: random.Random) -> str:
    def value(depth: int) -> str:
        kind = r.randrange(6 if depth else 4)
        if kind == 0:
            return r.choice(("null", "true", "false", "1e5", "-0.10", "12345678901234567890"))
        if kind in (1, 2, 3):
            return '"' + "".join(c for c in _text(r, 6) if c >= " " and c not in '"\\') + '"'
        if kind == 4:
            return f"[{', '.join(value(depth - 1) for _ in range(r.randint(0, 3)))}]"
        pairs = (f'"k{i}" :  {value(depth - 1)}' for i in range(r.randint(0, 3)))
        return f"{{{','.join(pairs)}}}"

    return _quote(value(2))


def _hex(r: random.Random, count: int) -> str:
    return r.randbytes(count).hex()


def _uuid(r: random.Random) -> str:
    digits = _hex(r, 16)
    return f"'{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'"


def _bits(length: int | None) -> _Literal:
    def literal(r: random.Random) -> str:
        count = r.randint(0, 40) if length is None else length
        return f"'{''.join(r.choice('01') for _ in range(count))}'"

    return literal


def _inet(r: random.Random) -> str:
    if r.random() < 0.5:
        return f"'{'.'.join(str(r.randint(0, 255)) for _ in range(4))}/{r.randint(0, 32)}'"
    return f"'{':'.join(f'{r.randint(0, 65535):x}' for _ in range(8))}'"


def _hstore(r: random.Random) -> str:
    pairs = []
    for i in range(r.randint(0, 6)):
        text = _text(r, 5).replace("\\", "\\\\").replace('"', '\\"')
        value = "NULL" if r.random() < 0.2 else f'"{text}"'
        pairs.append(f'"{r.choice(("k", "key ", "日", "Z"))}{i}"=>{value}')
    return _quote(", ".join(pairs))


def _range(bound: _Literal) -> _Literal:
    def literal(r: random.Random) -> str:
        if r.random() < 0.15:
            return "'empty'"
        low, high = bound(r).strip("'"), bound(r).strip("'")
        if r.random() < 0.5:
            return f"'{r.choice('[(')}\"{low}\",{r.choice('])')}'"
        return f"'{r.choice('[(')},\"{high}\"{r.choice('])')}'"

    return literal


def _vector(r: random.Random) -> str:
    return f"'[{','.join(str(round(r.uniform(-9, 9), r.randint(0, 4))) for _ in range(3))}]'"


def _quoted_text(r: random.Random) -> str:
    return _quote(_text(r))


def _enum(r: random.Random) -> str:
    return _quote(r.choice(_LABELS))


_LABELS: Final = ("sad", "ok", 'it\'s "q"', "two words", "üñï,comma", "NULL")

# -- types


def _types() -> list[_Type]:
    return [
        _Type("bool", lambda r: r.choice(("true", "false")), ("true", "false")),
        _Type("int2", _integer(16), ("7", "-3")),
        _Type("int4", _integer(32), ("5", "abs(-5)", "1+1")),
        _Type("int8", _integer(64), ("99999999999", "'-5'::int8")),
        _Type("float4", _float, ("1.5", "'NaN'", "random()"), key=False),
        _Type("float8", _float, ("2.25", "pi()", "-1"), key=False),
        _Type("numeric", _numeric, ("3.5",)),
        _Type("numeric(10,2)", lambda r: _number(r, 10, 2), ("1.23", "0", "7")),
        _Type("numeric(5,0)", lambda r: _number(r, 5, 0), ("42",)),
        _Type("numeric(38,10)", lambda r: _number(r, 38, 10)),
        _Type("numeric(3,5)", lambda r: f"'0.00{r.randint(0, 999):03d}'", required=False),
        _Type("money", lambda r: _number(r, 12, 2), ("1.5",)),
        _Type(
            "text", _quoted_text, ("'dflt'", "'it''s'", "upper('x')", "CURRENT_USER", "'a'||'b'")
        ),
        _Type("varchar", _quoted_text, ("''",)),
        _Type("varchar(40)", _quoted_text, ("'abc'",)),
        _Type("char(20)", lambda r: _quote(_text(r, 10))),
        _Type("char", lambda r: _quote(r.choice("abc ")), array=False),
        _Type('"char"', lambda r: _quote(r.choice("abc")), array=False),
        _Type("name", lambda r: _quote(_text(r, 10)), key=False, array=False, required=False),
        _Type("citext", _quoted_text),
        _Type("bytea", lambda r: f"'\\x{_hex(r, r.randint(0, 12))}'", ("'\\x00'",)),
        _Type("date", _date, ("'2020-01-02'", "CURRENT_DATE", "'infinity'")),
        *(
            _Type(f"time({n})" if n is not None else "time", _time, ("'01:02:03.5'", "LOCALTIME"))
            for n in (None, 0, 2, 3, 4)
        ),
        *(
            _Type(name, lambda r: f"'{_time_text(r)}{_zone(r)}'")
            for name in ("timetz", "timetz(2)")
        ),
        *(
            _Type(
                f"timestamp({n})" if n is not None else "timestamp",
                _timestamp,
                ("'2020-01-02 03:04:05'", "now()"),
                key=False,
                required=False,
            )
            for n in (None, 0, 1, 3, 5)
        ),
        *(
            _Type(
                f"timestamptz({n})" if n is not None else "timestamptz",
                _timestamptz,
                ("'2020-01-02 03:04:05+00'", "now()"),
            )
            for n in (None, 0, 3)
        ),
        _Type("interval", _interval, ("'1 day'", "make_interval(1)"), array=False),
        _Type("interval(2)", _interval, array=False),
        _Type("uuid", _uuid, ("gen_random_uuid()",)),
        _Type("json", _json, ("'{\"a\":1}'",), key=False),
        _Type("jsonb", _json, ("'[]'",)),
        _Type("xml", lambda r: f"'<a>{r.randint(0, 99)}</a>'", key=False, array=False),
        _Type("inet", _inet),
        _Type("cidr", lambda r: f"'10.{r.randint(0, 255)}.0.0/16'"),
        _Type("macaddr", lambda r: f"'{_hex(r, 6)}'"),
        _Type("macaddr8", lambda r: f"'{_hex(r, 8)}'"),
        _Type("bit", _bits(1), ("B'1'",), array=False),
        _Type("bit(9)", _bits(9), array=False),
        _Type("varbit", _bits(None), ("B'101'",), array=False),
        _Type(
            "point",
            lambda r: f"'({_number(r, 5, 2)[1:-1]},{_number(r, 9, 3)[1:-1]})'",
            key=False,
            array=False,
        ),
        _Type("int4range", _range(lambda r: f"'{r.randint(-99, 99)}'")),
        _Type("numrange", _range(lambda r: _number(r, 6, 2))),
        _Type("tstzrange", _range(lambda r: _timestamp(r, far=False))),
        _Type("daterange", _range(lambda r: f"'20{r.randint(10, 99)}-01-01'")),
        _Type("oid", lambda r: str(r.randint(0, 4294967295)), ("5",)),
        _Type("hstore", _hstore, key=False),
        _Type("ltree", lambda r: _quote(".".join(r.choice("abc") for _ in range(r.randint(0, 4))))),
        _Type("tsvector", lambda r: f"to_tsvector('simple', {_quote(_text(r))})", key=False),
        _Type("mood", _enum, ("'ok'", "'two words'::mood")),
        _Type('"Other Schema"."Mood 2"', lambda r: r.choice(("'x'", "'Y'")), ("'x'",)),
        _Type("posint", lambda r: str(r.randint(1, 99)), ("5",), array=False),
        _Type("email", lambda r: _quote(f"{_text(r, 5)}@x"), array=False),
        _Type("dnum", lambda r: _number(r, 8, 3), array=False),
        _Type("vector(3)", _vector, key=False),
        _Type("halfvec(3)", _vector, key=False, array=False),
        _Type(
            "sparsevec(5)",
            lambda r: f"'{{1:{r.randint(1, 9)}.5,3:2}}/5'",
            key=False,
            array=False,
            required=False,
        ),
        # Left out unless the engine is told to keep unknown types.
        _Type("box", lambda r: "'(2,2),(0,0.5)'", key=False),
        _Type("circle", lambda r: "'<(1,2.5),3>'", key=False),
        _Type("addr", lambda r: f"ROW({_quoted_text(r)},{r.randint(0, 9)})::addr", key=False),
        _Type("int4multirange", lambda r: "'{[1,3),[5,8)}'", key=False),
        _Type("xid8", lambda r: f"'{r.randint(0, 2**63)}'", key=False),
        _Type("pg_lsn", lambda r: "'16/B374D848'", key=False),
        _Type("jsonpath", lambda r: "'$.a[*]'", key=False),
        _Type("isbn", lambda r: "'978-0-393-04002-9'", key=False),
    ]


_TYPES: Final = _types()
_NO_NULL_ELEMENTS: Final = frozenset(
    (
        *("mood", '"Other Schema"."Mood 2"', "ltree", "tsvector", "vector(3)", "isbn"),
        *("box", "circle", "addr", "int4multirange", "xid8", "pg_lsn", "jsonpath"),
    )
)
"""With a NULL element the real connector has no value for the array."""


@dataclass
class _Column:
    name: str
    type: _Type
    is_array: bool
    not_null: bool = False
    default: str | None = None

    @property
    def sql(self) -> str:
        """The definition."""
        parts = [_identifier(self.name), self.type.sql + "[]" * self.is_array]
        if self.default is not None:
            parts.append(f"DEFAULT ({self.default})")
        if self.not_null:
            parts.append("NOT NULL")
        return " ".join(parts)

    def literal(self, r: random.Random) -> str:
        """A value, or NULL where that is allowed."""
        if not self.not_null and r.random() < 0.15:
            return "NULL"
        if not self.is_array:
            return self.type.literal(r)
        array = self.type.sql + "[]"
        if r.random() < 0.1:
            return f"'{{}}'::{array}"
        elements = [
            "NULL" if self._null_element(r) else f"({self.type.literal(r)})::{self.type.sql}"
            for _ in range(r.randint(1, 4))
        ]
        return f"ARRAY[{', '.join(elements)}]::{array}"

    def _null_element(self, r: random.Random) -> bool:
        if self.not_null and self.type.sql in _NO_NULL_ELEMENTS:
            return False
        return r.random() < 0.2


@dataclass
class _Table:
    schema: str
    name: str
    columns: list[_Column]
    key: list[str] = field(default_factory=list)
    identity: str = "DEFAULT"
    keys_used: int = 0

    @property
    def qualified(self) -> str:
        """The name to use in SQL."""
        return f"{_identifier(self.schema)}.{_identifier(self.name)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def random_tables(seed: int, tables: int, configurations: Mapping[str, Properties]) -> Workload:
    """Make a workload of a seed: so many tables, each with a few changes."""
    r = random.Random(seed)
    made = [_table(r, number) for number in range(tables)]
    schema = [
        *(f"CREATE EXTENSION {name}" for name in EXTENSIONS),
        'CREATE SCHEMA "Other Schema"',
        f"CREATE TYPE mood AS ENUM ({', '.join(map(_quote, _LABELS))})",
        "CREATE TYPE \"Other Schema\".\"Mood 2\" AS ENUM ('x', 'Y')",
        "CREATE DOMAIN posint AS int CHECK (VALUE > 0)",
        "CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%')",
        "CREATE DOMAIN dnum AS numeric(8,3)",
        "CREATE TYPE addr AS (street text, num int)",
        *(statement for table in made for statement in _definition(table)),
    ]
    half = len(made) // 2
    parts = [
        (name, "\n".join(_changes(r, some)))
        for name, some in (("first half", made[:half]), ("second half", made[half:]))
    ]
    return Workload(";\n".join(schema) + ";\n", parts, configurations)


def _table(r: random.Random, number: int) -> _Table:
    columns = [
        _Column(f"{_name(r)}{number}_{i}", r.choice(_TYPES), is_array=False)
        for i in range(r.randint(1, 9))
    ]
    for column in columns:
        column.is_array = column.type.array and r.random() < 0.2
        required = column.type.required_array if column.is_array else column.type.required
        column.not_null = required and r.random() < 0.3
        if column.type.defaults and not column.is_array and r.random() < 0.4:
            column.default = r.choice(column.type.defaults)
    table = _Table(r.choice(("public", "public", "Other Schema")), f"{_name(r)}_{number}", columns)
    table.columns.insert(r.randint(0, len(columns)), _Column("id", _ID, is_array=False))
    table.key = ["id"]
    more = [each for each in columns if each.type.key and not each.is_array and each.not_null]
    if more and r.random() < 0.3:
        table.key = r.sample(["id", more[0].name], 2)
    kind = r.random()
    if kind < 0.1:
        table.key = []
        table.identity = r.choice(("NOTHING", "FULL"))
    elif kind < 0.35:
        table.identity = "FULL"
    elif kind < 0.45:
        table.identity = "INDEX"
    return table


_ID: Final = _Type("int", _integer(32))


def _name(r: random.Random) -> str:
    return r.choice(
        ("c", "col_", "Mixed Case ", "ünï", "日", 'qu"ote', "dot.ted", "1st", "per%cent")
    )


def _definition(table: _Table) -> list[str]:
    columns = ", ".join(column.sql for column in table.columns)
    key = f", PRIMARY KEY ({', '.join(map(_identifier, table.key))})" if table.key else ""
    made = [f"CREATE TABLE {table.qualified} ({columns}{key})"]
    if table.identity == "INDEX":
        index = _identifier(f"{table.name}_alt")
        made.append(f"ALTER TABLE {table.qualified} ADD COLUMN alt int NOT NULL DEFAULT 0")
        made.append(f"CREATE UNIQUE INDEX {index} ON {table.qualified} (alt)")
        made.append(f"ALTER TABLE {table.qualified} REPLICA IDENTITY USING INDEX {index}")
    elif table.identity != "DEFAULT":
        made.append(f"ALTER TABLE {table.qualified} REPLICA IDENTITY {table.identity}")
    return made


# -- changes


def _changes(r: random.Random, tables: Sequence[_Table]) -> list[str]:
    statements: list[str] = []
    for table in tables:
        statements += _changes_of(r, table)
        if r.random() < 0.05:
            statements.append(
                f"SELECT pg_logical_emit_message({r.choice(('true', 'false'))}, 'prefix', 'text')"
            )
    made: list[str] = []
    while statements:
        size = r.choice((1, 1, 2, 5))
        some, statements = statements[:size], statements[size:]
        made += some if size == 1 else ["BEGIN", *some, "COMMIT"]
    return [f"{statement};" for statement in made]


def _changes_of(r: random.Random, table: _Table) -> list[str]:
    made = [_insert(r, table) for _ in range(r.randint(2, 4))]
    if not table.key and table.identity == "NOTHING":
        return made
    made += [_update(r, table) for _ in range(r.randint(0, 3))]
    if r.random() < 0.5:
        made.append(_update(r, table, of_key=True))
    if r.random() < 0.6:
        made.append(f"DELETE FROM {table.qualified} WHERE id = {r.randint(1, table.keys_used)}")
    if r.random() < 0.1:
        made.append(f"TRUNCATE {table.qualified}")
    return made


def _insert(r: random.Random, table: _Table) -> str:
    table.keys_used += 1
    names, values = ["id"], [str(table.keys_used)]
    if table.identity == "INDEX":
        names.append("alt")
        values.append(str(table.keys_used))
    for column in table.columns:
        if column.name == "id" or (column.default is not None and r.random() < 0.4):
            continue
        names.append(column.name)
        values.append(column.literal(r))
    columns = ", ".join(map(_identifier, names))
    return f"INSERT INTO {table.qualified} ({columns}) VALUES ({', '.join(values)})"


def _update(r: random.Random, table: _Table, *, of_key: bool = False) -> str:
    number = r.randint(1, table.keys_used)
    if of_key:
        table.keys_used += 1
        changed = [f"id = {table.keys_used}"]
    else:
        others = [column for column in table.columns if column.name != "id"]
        chosen = r.sample(others, r.randint(1, len(others))) if others else []
        changed = [f"{_identifier(column.name)} = {column.literal(r)}" for column in chosen]
    if table.identity == "INDEX" and r.random() < 0.3:
        changed.append(f"alt = {table.keys_used + 1000 + number}")
    return f"UPDATE {table.qualified} SET {', '.join(changed)} WHERE id = {number}"
