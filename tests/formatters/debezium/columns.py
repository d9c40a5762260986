"""Columns of many types for the tests of rows, and values that such columns can have."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import (
    BUILTIN_TYPES,
    CatalogType,
    Column,
    RawValue,
    Relation,
)
from tests.formatters.tables import relation

__all__ = ("GARBAGE", "KINDS", "TYPES", "Kind", "Table", "tables")

_OIDS: Final = {name: oid for oid, name in BUILTIN_TYPES.items()}
_N10_2: Final = 655366

TYPES: Final = (
    CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("sad", "it's", "NULL")),
    CatalogType(16401, "public", "_mood", "b", element_oid=16400),
    CatalogType(16402, "public", "dnum", "d", base_oid=1700, base_modifier=524295),
    CatalogType(16403, "public", "_dnum", "b", element_oid=16402),
    CatalogType(16404, "public", "addr", "c", fields=(("street", 25),)),
    CatalogType(16405, "public", "_addr", "b", element_oid=16404),
    CatalogType(16406, "public", "hstore", "b", array_oid=16407),
    CatalogType(16407, "public", "_hstore", "b", element_oid=16406),
    CatalogType(16408, "public", "ltree", "b", array_oid=16409),
    CatalogType(16409, "public", "_ltree", "b", element_oid=16408),
    CatalogType(16410, "public", "vector", "b", array_oid=16411),
    CatalogType(16411, "public", "_vector", "b", element_oid=16410),
    CatalogType(16412, "public", "sparsevec", "b"),
    CatalogType(16413, "public", "demo", "d", base_oid=16400),
)
"""Types that are not built in."""
_OWN: Final = {each.name: each.oid for each in TYPES}


class Kind(NamedTuple):
    """A type with a modifier, and the texts of its values."""

    type_name: str
    modifier: int
    values: st.SearchStrategy[str]

    def column(self, name: str, *, identity: bool = False) -> Column:
        """Return a column of it."""
        oid = _OWN.get(self.type_name) or _OIDS[self.type_name]
        # As the catalog-less stream names it: a domain is what it is over.
        return Column(name, oid, self.modifier, self.type_name, identity)


_TEXT: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)


def _fraction(digits: int) -> st.SearchStrategy[str]:
    return st.just("") | st.integers(1, 10**digits - 1).map(
        lambda number: f".{number:0{digits}d}".rstrip("0")
    )


def _time(digits: int = 6) -> st.SearchStrategy[str]:
    clock = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    usual = st.builds("{0[0]:02}:{0[1]:02}:{0[2]:02}{1}".format, clock, _fraction(digits))
    return usual | st.just("24:00:00")


def _timestamp(digits: int = 6, zone: str = "") -> st.SearchStrategy[str]:
    times = _time(digits).filter(lambda text: text != "24:00:00")
    usual = st.builds("{} {}{}".format, st.dates().map(str), times, st.just(zone))
    far = [f"0044-03-15 01:02:03.5{zone} BC", f"294276-12-31 23:59:59{zone}"]
    return usual | st.sampled_from([*far, "infinity", "-infinity"])


def _float(width: int) -> st.SearchStrategy[str]:
    def text(number: float) -> str:
        # As the server writes it: 1, 1.5, 1e+20.
        shown = repr(number) if width == 64 else f"{number:.9g}"
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(shown, shown)

    return st.floats(width=32 if width == 32 else 64).map(text)


def _decimal(digits: int, scale: int) -> st.SearchStrategy[str]:
    whole = st.integers(-(10 ** (digits - scale)) + 1, 10 ** (digits - scale) - 1)
    if not scale:
        return whole.map(str)
    return st.builds(f"{{}}.{{:0{scale}d}}".format, whole, st.integers(0, 10**scale - 1))


_NO_NUMBER: Final = st.sampled_from(["NaN", "Infinity", "-Infinity"])
_INTERVALS: Final = (
    *("1 year 2 mons 3 days 04:05:06.789", "-10 mons -3 days +04:05:06.789", "00:00:00"),
    *("-00:00:00.5", "178000000 years", "infinity", "-infinity"),
)
_SCALARS: Final = (
    Kind("bool", -1, st.sampled_from("tf")),
    Kind("int2", -1, st.integers(-(2**15), 2**15 - 1).map(str)),
    Kind("int4", -1, st.integers(-(2**31), 2**31 - 1).map(str)),
    Kind("int8", -1, st.integers(-(2**63), 2**63 - 1).map(str)),
    Kind("oid", -1, st.integers(0, 2**32 - 1).map(str)),
    Kind("float4", -1, _float(32)),
    Kind("float8", -1, _float(64)),
    Kind("numeric", -1, _decimal(20, 0) | _decimal(30, 7) | _NO_NUMBER),
    Kind("numeric", _N10_2, _decimal(10, 2) | st.just("NaN")),
    Kind("money", -1, st.sampled_from(["$0.00", "$1,234.50", "-$0.01"])),
    *(Kind(name, -1, _TEXT) for name in ("text", "varchar", "json", "xml", "name")),
    Kind("bpchar", 7, st.sampled_from(["a  ", "abc"])),
    Kind("char", -1, st.sampled_from(["", "q"])),
    Kind("bytea", -1, st.binary(max_size=9).map(lambda value: f"\\x{value.hex()}")),
    Kind("date", -1, st.dates().map(str) | st.sampled_from(["infinity", "0044-03-15 BC"])),
    Kind("time", -1, _time()),
    Kind("time", 2, _time(2)),
    Kind("timetz", -1, _time().map(lambda text: f"{text}+05:30")),
    Kind("timestamp", -1, _timestamp()),
    Kind("timestamp", 3, _timestamp(3)),
    Kind("timestamptz", -1, _timestamp(zone="+00")),
    Kind("timestamptz", 0, _timestamp(1, "+00")),
    Kind("interval", -1, st.sampled_from(_INTERVALS)),
    Kind("uuid", -1, st.uuids().map(str)),
    Kind("inet", -1, st.ip_addresses().map(str)),
    Kind("bit", 1, st.sampled_from("01")),
    Kind("bit", 9, st.text("01", min_size=9, max_size=9)),
    Kind("varbit", -1, st.text("01", max_size=20)),
    Kind("point", -1, st.sampled_from(["(1.5,-2)", "(1e+20,NaN)"])),
    Kind("int4range", -1, st.sampled_from(["empty", "[1,10)", "(,)"])),
    Kind("tsvector", -1, st.just("'a' 'cat'")),
    Kind("hstore", -1, st.sampled_from(["", '"a"=>"1", "b c"=>NULL', '"x\\"y"=>"\\\\"'])),
    Kind("ltree", -1, st.sampled_from(["", "Top.Science"])),
    Kind("vector", -1, st.sampled_from(["[1,2.5]", "[1e-07]"])),
    Kind("sparsevec", -1, st.sampled_from(["{1:1.5,3:2}/5", "{}/3"])),
    Kind("mood", -1, st.sampled_from(["sad", "it's", "NULL"])),
    Kind("demo", -1, st.sampled_from(["sad", "it's", "NULL"])),
    Kind("dnum", -1, _decimal(8, 3)),
    Kind("addr", -1, st.sampled_from(['("Main ""St""",1)', "(,)"])),
    Kind("box", -1, st.just("(2,2),(0,0.5)")),
    Kind("circle", -1, st.just("<(1,2),3>")),
    Kind("pg_lsn", -1, st.just("16/B374D848")),
    Kind("int4multirange", -1, st.sampled_from(["{}", "{[1,3),[5,8)}"])),
)


_PLAIN: Final = re.compile(r'[^\s{}",;\\]+')


def _quoted(text: str | None) -> str:
    if text is None or (_PLAIN.fullmatch(text) and text.upper() != "NULL"):
        return text or "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _array_of(kind: Kind) -> Kind:
    """Return the array type of a type, with arrays of one and of two dimensions."""
    delimiter = ";" if kind.type_name == "box" else ","
    elements = (st.none() | kind.values).map(_quoted)
    flat = st.lists(elements, max_size=4).map(lambda items: f"{{{delimiter.join(items)}}}")
    nested = st.lists(st.tuples(elements, elements), min_size=1, max_size=3).map(
        lambda pairs: f"{{{delimiter.join(f'{{{delimiter.join(pair)}}}' for pair in pairs)}}}"
    )
    return Kind(f"_{kind.type_name}", kind.modifier, flat | flat.map("[2:3]={}".format) | nested)


_NO_ARRAYS: Final = frozenset(("demo", "sparsevec"))
KINDS: Final = (
    *_SCALARS,
    *(_array_of(kind) for kind in _SCALARS if kind.type_name not in _NO_ARRAYS),
)
GARBAGE: Final = st.binary(max_size=20) | st.text(
    '0123456789-+.:, TBCZ{}()[]\\"=>', max_size=20
).map(str.encode)
"""Texts that need not be of any type."""


class Table(NamedTuple):
    """A table of some columns, and what its rows can hold."""

    relation: Relation
    rows: st.SearchStrategy[list[RawValue]]
    """Values of the columns' types, NULL where that may be, and what was not sent."""
    texts: st.SearchStrategy[list[RawValue]]
    """Whatever a row might hold."""

    def __repr__(self) -> str:
        types = [f"{each.type_name}({each.type_modifier})" for each in self.relation.columns]
        return f"<Table of {', '.join(types)}>"


_ABSENT: Final[st.SearchStrategy[RawValue]] = st.sampled_from([UNCHANGED, NOT_SENT])
_NULL: Final[st.SearchStrategy[RawValue]] = st.none()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    names = [f"c{i}" for i in range(len(kinds))]
    required = [name for name in names if draw(st.booleans())]
    made = relation(
        *(kind.column(name) for kind, name in zip(kinds, names, strict=True)),
        not_null=required,
        defaults={name: "'1'::text" for name in names if draw(st.integers(0, 3)) == 0},
        types=TYPES,
    )
    values = [
        st.one_of(kind.values.map(str.encode), *([] if name in required else [_NULL]), _ABSENT)
        for kind, name in zip(kinds, names, strict=True)
    ]
    anything = st.one_of(GARBAGE, _NULL, _ABSENT)
    return Table(
        made,
        st.tuples(*values).map(list),
        st.tuples(*(each | anything for each in values)).map(list),
    )
