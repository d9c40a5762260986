"""Tests of `pglogical_cdc.postgres.loaders`."""

from __future__ import annotations

import enum
import pickle
import struct
import traceback
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.datetime import IntervalLoader
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from psycopg.types.string import TextLoader

from pglogical_cdc.errors import ValueDecodeError
from pglogical_cdc.events import (
    BUILTIN_TYPES,
    CatalogColumn,
    CatalogType,
    Column,
    Relation,
    ReplicaIdentity,
    TableCatalog,
)
from pglogical_cdc.postgres.loaders import PsycopgLoaders
from pglogical_cdc.protocol import BinaryValue
from tests.postgres.binary_types import binary_types, rows_of_page
from tests.postgres.type_tables import connect, has_vector, inserted, make_type_tables, same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg.abc import AdaptContext, Buffer

    from tests.postgres.type_tables import Rows
    from tests.servers import Database

# -- on live servers


@pytest.fixture
def rows(database: Database) -> tuple[Rows, Rows]:
    """What pgoutput sends of every type, in text and in binary."""
    make_type_tables(database)
    return inserted(database)


@pytest.mark.pg
def test_text_and_binary_are_equal_but_for_the_listed_types(
    database: Database, rows: tuple[Rows, Rows]
) -> None:
    text, binary = rows
    assert set(text) - set(binary) == {("isbn_t", 1)}
    found = binary_types(database, text, binary)
    listed = rows_of_page()
    missing = set(listed) - set(found)
    assert found == {name: listed[name] for name in found}
    # What this server's build has not.
    assert missing <= {"xml", "xml[]", "vector", "vector[]", "halfvec", "sparsevec"}
    assert has_vector(database) is ("vector" in found)


@pytest.mark.pg
def test_types_that_are_made_of_others(rows: tuple[Rows, Rows]) -> None:
    text, binary = (kind["types_made", 1] for kind in rows)
    for name in text:
        assert same(text[name], binary[name]), name
    assert text["m_past"] == "infinity"
    assert text["m_pasts"] == [date(2020, 1, 1), None, "0044-03-15 BC"]
    assert text["m_ints"] == [1, 2]
    assert text["m_dmood"] == 'it\'s "q"'
    assert text["m_dmoods"] == ["sad", 'it\'s "q"']
    address: Any = text["m_daddr"]
    assert (address.street, address.num, address.zip) == ('a "b"', 1, None)
    assert text["m_small"] == 7
    assert text["m_span"] == Range(datetime(2020, 1, 1, tzinfo=timezone.utc), "infinity", "[)")
    assert text["m_spans"] == Multirange([Range("-infinity", "0044-03-15 00:00:00+00 BC", "[)")])
    assert text["m_spans_arr"] == [Multirange(), Multirange([Range(None, "infinity", "(]")])]
    assert text["m_moods"] == Range("sad", "happy", "[]")
    assert text["m_moods_set"] == Multirange([Range("sad", "ok", "[)")])
    assert text["m_odd"] == (
        ('x, "y"', None, ""),
        ["ok", None],
        Range("-infinity", date(2020, 1, 1), "[)"),
        5,
        1.1,
        {"a": "1\\"},
    )
    assert text["m_odds"] == [None, (None,) * 6]
    assert text["m_nothing"] == ()


@pytest.mark.pg
def test_values_are_what_psycopg_fetches(database: Database, rows: tuple[Rows, Rows]) -> None:
    connection = connect(database)
    _teach(connection)
    compared = 0
    for (table, row_id), row in rows[0].items():
        if table == "types_made":
            continue  # psycopg would have to be taught each of those types
        for column in row:
            query = f"SELECT {column}, {column}::text FROM {table} WHERE id = {row_id}".encode()
            try:
                ((expected, _),) = connection.execute(query).fetchall()
            except psycopg.DataError:
                ((expected,),) = connection.execute(
                    f"SELECT {column}::text FROM {table} WHERE id = {row_id}".encode()
                ).fetchall()
                if isinstance(row[column], (list, Range, Multirange)):
                    continue  # psycopg fails on the whole of it, this package on a part
            compared += 1
            assert same(row[column], expected), (table, column, row_id)
    assert compared > 2000


class _ExactIntervalLoader(IntervalLoader):
    """psycopg's in Python, which has integers of any size; it takes infinity for nothing."""

    def load(self, data: Buffer) -> timedelta:
        if b"infinity" in bytes(data):
            raise psycopg.DataError
        return super().load(data)


def _teach(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    adapters = connection.adapters
    adapters.register_loader("interval", _ExactIntervalLoader)
    for name in ("citext", "mood", "ltree", "isbn", "posint", "email", "vector"):
        info = TypeInfo.fetch(connection, name)
        if info is not None:  # of pgvector there may be nothing
            info.register(connection)
    for name, like in (("posint", "int4"), ("email", "text")):
        loader = adapters.get_loader(adapters.types[like].oid, pq.Format.TEXT)
        assert loader is not None
        adapters.register_loader(adapters.types[name].oid, loader)
    adapters.register_loader('"char"', TextLoader)
    hstore = TypeInfo.fetch(connection, "hstore")
    assert hstore is not None
    register_hstore(hstore, connection)
    address = CompositeInfo.fetch(connection, "addr")
    assert address is not None
    register_composite(address, connection)


@pytest.mark.pg
def test_without_catalog(database: Database) -> None:
    make_type_tables(database)
    text, binary = inserted(database, known=False)
    for rows in (text, binary):
        scalar = rows["types_scalar", 1]
        assert scalar["c_dom_int"] == 3
        assert scalar["c_dom_num"] == Decimal("1.500")
        assert scalar["c_hstore"] == {"a": "1", "b c": None, "c": 'x"y'}
        assert scalar["c_tstzrange"] == Range(
            datetime(2019, 12, 31, 22, tzinfo=timezone.utc), "infinity", "[)"
        )
    assert text["types_scalar", 1]["c_enum"] == "happy"
    assert text["types_scalar", 1]["c_comp"] == '("Main ""St"", 1",7,12345)'
    assert text["types_array", 1]["a_enum"] == '{sad,NULL,"it\'s \\"q\\""}'
    assert binary["types_scalar", 1]["c_enum"] == b"happy"
    assert text["types_made", 1]["m_past"] == binary["types_made", 1]["m_past"] == "infinity"


# -- with made-up wire values

_MOOD, _MOODS, _POINT, _PAST, _SPAN, _SPANS, _SELF = range(16400, 16407)

_TYPES = (
    CatalogType(_MOOD, "public", "mood", "e", array_oid=_MOODS, labels=("sad", "ok")),
    CatalogType(_MOODS, "public", "_mood", "b", element_oid=_MOOD),
    CatalogType(_POINT, "public", "pt", "c", fields=(("x", 23), ("y", _PAST))),
    CatalogType(_PAST, "public", "past", "d", base_oid=1082),
    CatalogType(_SPAN, "public", "span", "r", subtype_oid=_PAST),
    CatalogType(_SPANS, "public", "spans", "m", subtype_oid=_SPAN),
    CatalogType(_SELF, "public", "self", "c", fields=(("self", _SELF),)),
)


def _relation(
    oid: int,
    *,
    loaders: PsycopgLoaders,
    types: Iterable[CatalogType] | None = _TYPES,
    type_name: str | None = None,
) -> Relation:
    catalog = None
    if types is not None:
        catalog = TableCatalog(
            database="d",
            oid=1,
            schema="s",
            table="t",
            columns=(CatalogColumn("c", 1, oid, -1, "?", False, None, "", ""),),
            primary_key=None,
            types={found.oid: found for found in types},
        )
    name = BUILTIN_TYPES.get(oid, type_name)
    return Relation(
        oid=1,
        schema="s",
        name="t",
        columns=(Column("c", oid, -1, name, False),),
        replica_identity=ReplicaIdentity.DEFAULT,
        catalog=catalog,
        loaders=loaders,
    )


def _load(oid: int, value: bytes, adapters: AdaptersMap | None = None, **options: Any) -> object:
    return _relation(oid, loaders=PsycopgLoaders(adapters), **options).to_python(0, value)


def _registered(oid: int, loader: type[Loader]) -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_loader(oid, loader)
    return adapters


def test_text_that_is_not_utf_8_is_bytes() -> None:
    assert _load(25, b"\xff") == b"\xff"
    assert _load(1009, b"{a,\xff}") == b"{a,\xff}"
    assert _load(_MOOD, b"\xff") == b"\xff"


def test_text_that_psycopg_cannot_load_is_text() -> None:
    assert _load(23, b"many") == "many"
    assert _load(114, b"[" * 100_000) == "[" * 100_000
    assert _load(1007, b"{1,x}") == "{1,x}"
    assert _load(_POINT, b"(1)") == "(1)"


def test_binary_that_psycopg_cannot_load_is_bytes() -> None:
    for oid in (1007, 1082, 1700, 2950, 3802, _POINT, _SPANS):
        value = _load(oid, BinaryValue(b"\x01"))
        assert value == b"\x01"
        assert type(value) is bytes
    assert type(_load(600, BinaryValue(bytes(16)))) is bytes


@given(st.sampled_from(sorted(BUILTIN_TYPES) + [found.oid for found in _TYPES]), st.binary())
def test_no_text_raises(oid: int, data: bytes) -> None:
    _load(oid, data)


def test_types_from_the_catalog() -> None:
    assert _load(_MOODS, b"{sad,NULL,new}") == ["sad", None, "new"]
    assert _load(_MOOD, BinaryValue(b"sad")) == "sad"
    assert _load(_SPANS, b"{[2020-01-01,infinity)}") == Multirange(
        [Range(date(2020, 1, 1), "infinity", "[)")]
    )
    point: Any = _load(_POINT, b"(1,-infinity)")
    assert (point.x, point.y) == (1, "-infinity")
    assert _load(_SELF, b"(())") is not None


def test_builtin_type_named_by_the_type_message() -> None:
    assert _load(16500, b"7", types=None, type_name="int4") == 7
    assert _load(16500, b"{7}", types=None, type_name="_int4") == [7]
    assert _load(16500, BinaryValue(struct.pack(">i", 7)), types=None, type_name="int4") == 7
    assert _load(16500, b'"a"=>NULL', types=None, type_name="hstore") == {"a": None}
    assert _load(16500, b"7", types=None, type_name="public.int4") == "7"
    assert _load(16500, b"7", types=None) == "7"


def test_type_that_was_altered() -> None:
    loaders = PsycopgLoaders()
    first = _relation(_POINT, loaders=loaders)
    assert first.to_python(0, b"(1,2020-01-01)") == (1, date(2020, 1, 1))
    altered = CatalogType(_POINT, "public", "pt", "c", fields=(("x", 23), ("y", 23), ("z", 25)))
    second = _relation(_POINT, loaders=loaders, types=(altered,))
    assert second.to_python(0, b"(1,2,z)") == (1, 2, "z")
    assert first.to_python(0, b"(1,2020-01-01)") == (1, date(2020, 1, 1))


def test_type_that_becomes_known_later() -> None:
    loaders = PsycopgLoaders()
    unknown = _relation(_MOODS, loaders=loaders, types=None, type_name="_mood")
    assert unknown.to_python(0, b"{sad}") == "{sad}"
    assert _relation(_MOODS, loaders=loaders).to_python(0, b"{sad}") == ["sad"]


class _Mood(enum.Enum):
    sad = 1
    ok = 2


def test_callers_types_come_first() -> None:
    adapters = AdaptersMap(psycopg.adapters)
    register_enum(EnumInfo("mood", _MOOD, _MOODS, ["sad", "ok"]), adapters, _Mood)
    assert _load(_MOOD, b"sad", adapters) is _Mood.sad
    assert _load(_MOODS, b"{sad,ok}", adapters) == [_Mood.sad, _Mood.ok]
    assert _load(_MOOD, BinaryValue(b"ok"), adapters) is _Mood.ok
    assert _load(_MOOD, b"added later", adapters) == "added later"


class _AsDate(Loader):
    def load(self, data: Buffer) -> object:
        return ("mine", bytes(data))


def test_callers_loader_of_a_part() -> None:
    adapters = _registered(1082, _AsDate)
    assert _load(1082, b"infinity", adapters) == ("mine", b"infinity")
    assert _load(_PAST, b"2020-01-01", adapters) == ("mine", b"2020-01-01")
    assert _load(1182, b"{2020-01-01}", adapters) == [("mine", b"2020-01-01")]
    assert _load(_SPAN, b"[infinity,)", adapters) == Range(("mine", b"infinity"), None, "[)")
    # For a domain of its own.
    adapters = _registered(_PAST, _AsDate)
    assert _load(_PAST, b"2020-01-01", adapters) == ("mine", b"2020-01-01")
    assert _load(1082, b"2020-01-01", adapters) == date(2020, 1, 1)
    # A loader of psycopg's chosen by the caller: no dates, no intervals, just text.
    assert _load(1186, b"1 day", _registered(1186, TextLoader)) == "1 day"


class _Failing(Loader):
    def load(self, data: Buffer) -> object:
        raise LookupError


class _FailingBinary(_Failing):
    format = pq.Format.BINARY


class _NeedsConnection(Loader):
    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        raise AttributeError("no connection")

    def load(self, data: Buffer) -> object:
        raise AssertionError


_DAY = struct.pack(">i", 0)


@pytest.mark.parametrize(
    ("oid", "value", "loader"),
    [
        (1082, b"2020-01-01", _Failing),
        (1182, b"{2020-01-01}", _Failing),
        (3912, b"[2020-01-01,)", _Failing),
        (4535, b"{[2020-01-01,)}", _Failing),
        (_POINT, b"(1,2020-01-01)", _Failing),
        (1082, BinaryValue(_DAY), _FailingBinary),
        # psycopg hides the error of a bound behind its own.
        (4535, BinaryValue(struct.pack(">iiBi", 1, 9, 18, 4) + _DAY), _FailingBinary),
        (1082, b"2020-01-01", _NeedsConnection),
        (1182, b"{2020-01-01}", _NeedsConnection),
    ],
)
def test_callers_loader_that_fails(oid: int, value: bytes, loader: type[Loader]) -> None:
    relation = _relation(oid, loaders=PsycopgLoaders(_registered(1082, loader)))
    for _ in "12":
        with pytest.raises(ValueDecodeError) as caught:
            relation.to_python(0, value)
        error = caught.value
        assert (error.table, error.column, error.type_oid) == ("s.t", "c", oid)
        assert error.loader == loader.__qualname__
        assert error.cause in ("LookupError", "KeyError", "AttributeError")
        # The exception of the loader quotes the value; it is not shown behind ours.
        assert "2020" not in "".join(traceback.format_exception(error))


def test_neither_global_nor_callers_map_is_changed() -> None:
    adapters = AdaptersMap(psycopg.adapters)
    loaders = PsycopgLoaders(adapters)
    for found in _TYPES:
        _relation(found.oid, loaders=loaders).to_python(0, b"")
    for oid in (*range(_MOOD, _SELF + 1), 1263):
        for untouched in (adapters, psycopg.adapters):
            assert untouched.get_loader(oid, pq.Format.TEXT) is None
            assert untouched.get_loader(oid, pq.Format.BINARY) is None
            assert untouched.types.get(oid) is None
    # Nor does a later change of the caller's reach a reader that is at work.
    adapters.register_loader(1082, _AsDate)
    assert _relation(1082, loaders=loaders).to_python(0, b"2020-01-01") == date(2020, 1, 1)


def test_builtin_arrays_that_psycopg_does_not_know() -> None:
    array_oid = next(oid for oid, name in BUILTIN_TYPES.items() if name == "_pg_snapshot")
    assert _load(array_oid, b"{10:20:,NULL}") == ["10:20:", None]


def test_session_settings_need_no_connection() -> None:
    assert _load(1184, b"2020-01-01 00:00:00+00") == datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert _load(1186, b"1 mon -1 days +00:00:01") == timedelta(days=29, seconds=1)
    assert _load(25, "é".encode()) == "é"
    assert _load(17, rb"\x00ff") == b"\x00\xff"


# -- in another process


def test_loaders_that_were_pickled_begin_anew() -> None:
    table = Relation(
        1,
        "public",
        "t",
        (Column("d", 1082, -1, "date", is_identity=True),),
        ReplicaIdentity.DEFAULT,
        loaders=PsycopgLoaders(),
    )
    assert table.to_python(0, b"2026-01-02") == date(2026, 1, 2)
    other = pickle.loads(pickle.dumps(table))
    assert other.has_shape_of(table)
    assert other.key_columns == ("d",)
    assert other.to_python(0, b"2026-01-02") == date(2026, 1, 2)


def test_adapters_of_the_caller_stay_here() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(PsycopgLoaders(AdaptersMap(psycopg.adapters)))
