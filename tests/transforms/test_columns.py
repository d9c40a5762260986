from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    CatalogType,
    Change,
    Column,
    Delete,
    Insert,
    LogicalMessage,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Tombstones
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms import (
    ColumnTransform,
    ExcludeColumns,
    HashColumns,
    IncludeColumns,
    MaskColumns,
    TruncateColumns,
)
from tests.formatters.tables import column, relation

TRANSACTION = Transaction(xid=7, commit_lsn=LSN(1000), commit_timestamp=0)
MOOD = CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("sad", "happy"))
MOODS = CatalogType(16401, "public", "_mood", "b", element_oid=16400)
DEMO = CatalogType(16402, "public", "demo", "d", base_oid=16400)
EMAIL = CatalogType(16403, "public", "email", "d", base_oid=25)
PRICE = CatalogType(16404, "public", "price", "d", base_oid=1700)
TYPES = (MOOD, MOODS, DEMO, EMAIL, PRICE)

USERS = relation(
    column("id", "int4", identity=True),
    column("name"),
    column("secret"),
    name="users",
    primary_key=["id"],
    not_null=["id"],
)
ALL: Sequence[ColumnTransform] = (
    ExcludeColumns("public.users.secret"),
    IncludeColumns("public.users.(id|name)"),
    MaskColumns("public.users.secret", chars=3),
    HashColumns("public.users.secret", algorithm="SHA-256", salt="s"),
    TruncateColumns("public.users.secret", chars=2),
)


def _row(*raw: RawValue, table: Relation = USERS) -> Row:
    return Row(table, raw)


def _insert(*raw: RawValue, table: Relation = USERS) -> Insert:
    return Insert(900, TRANSACTION, 1, table, _row(*raw, table=table))


def _changes(table: Relation = USERS) -> list[RowChange]:
    """Return a change of each kind, of the same row."""
    row = _row(b"1", b"Ann", b"hidden", table=table)
    key = _row(b"1", NOT_SENT, NOT_SENT, table=table)
    return [
        Insert(900, TRANSACTION, 1, table, row),
        Update(910, TRANSACTION, 2, table, None, row),
        Update(920, TRANSACTION, 3, table, row, row),
        Delete(930, TRANSACTION, 4, table, key),
        Delete(940, TRANSACTION, 5, table, row),
        SnapshotRead(950, None, 0, table, row, "last"),
    ]


def _applied(transform: ColumnTransform, change: Change) -> RowChange:
    made = transform(change)
    assert isinstance(made, RowChange)
    assert type(made) is type(change)
    return made


def _value(transform: ColumnTransform, made: Column, value: RawValue) -> RawValue:
    """Return what becomes of the value of a table's only column."""
    table = relation(made, types=TYPES)
    after = _applied(transform, _insert(value, table=table)).after
    assert after is not None
    return after.raw[0]


def _altered(transform: ColumnTransform, made: Column) -> Column:
    """Return what becomes of a table's only column."""
    return _applied(transform, _insert(b"x", table=relation(made, types=TYPES))).relation.columns[0]


# -- every transform


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
class TestEvery:
    def test_rows_of_every_kind_of_change(self, transform: ColumnTransform) -> None:
        for change in _changes():
            made = _applied(transform, change)
            for old, new in ((change.before, made.before), (change.after, made.after)):
                if old is None:
                    assert new is None
                    continue
                assert new is not None
                assert new.relation is made.relation
                assert new.base is old
                assert [new["id"], new["name"]] == [old["id"], old["name"]]
                assert new.get("secret", NOT_SENT) != "hidden"
                if old["secret"] is NOT_SENT:
                    assert new.get("secret", NOT_SENT) is NOT_SENT
            # All else stays.
            assert (made.position, made.wal_start, made.transaction, made.schema, made.table) == (
                *(change.position, change.wal_start, change.transaction, change.schema),
                change.table,
            )
            assert made.key == change.key == {"id": "1"}

    def test_the_change_itself_stays_as_it_is(self, transform: ColumnTransform) -> None:
        change = _insert(b"1", b"Ann", b"hidden")
        transform(change)
        assert change.relation is USERS
        assert change.after.raw == (b"1", b"Ann", b"hidden")
        assert USERS.base is None

    def test_the_marker_of_a_snapshot_stays(self, transform: ColumnTransform) -> None:
        made = _applied(transform, _changes()[-1])
        assert isinstance(made, SnapshotRead)
        assert made.snapshot == "last"

    def test_truncates(self, transform: ColumnTransform) -> None:
        change = Truncate(900, TRANSACTION, 1, USERS, cascade=True, restart_identity=False)
        made = _applied(transform, change)
        assert isinstance(made, Truncate)
        assert (made.cascade, made.restart_identity) == (True, False)
        assert made.relation is _applied(transform, _changes()[0]).relation

    def test_messages_pass(self, transform: ColumnTransform) -> None:
        message = LogicalMessage(900, TRANSACTION, 1, "public.users.secret", b"hidden", "shop")
        assert transform(message) is message

    def test_one_version_stays_one_version(self, transform: ColumnTransform) -> None:
        made = [_applied(transform, change).relation for change in _changes()]
        assert all(each is made[0] for each in made)
        assert made[0] is not USERS
        assert made[0].base is USERS
        # Another version of the table gives another.
        later = attrs.evolve(USERS)
        assert _applied(transform, _changes(later)[0]).relation is not made[0]

    def test_other_tables_do_not_get_in_between(self, transform: ColumnTransform) -> None:
        other = attrs.evolve(USERS, oid=2)
        first = _applied(transform, _changes()[0]).relation
        assert _applied(transform, _changes(other)[0]).relation is not first
        assert _applied(transform, _changes()[0]).relation is first

    def test_transforms_in_a_row_keep_the_servers_row(self, transform: ColumnTransform) -> None:
        further = MaskColumns("public.users.name", chars=1)
        for change in _changes():
            made = _applied(further, _applied(transform, change))
            assert made.relation.base is USERS
            assert made.key == {"id": "1"}
            for old, new in ((change.before, made.before), (change.after, made.after)):
                assert (None if new is None else new.base) is old
                if new is not None and old is not None and old["name"] is not NOT_SENT:
                    assert new["name"] == "*"

    def test_a_table_without_such_a_column_is_left_alone(self, transform: ColumnTransform) -> None:
        table = relation(column("id", "int4"), column("name"), name="users", primary_key=["id"])
        change = Insert(900, TRANSACTION, 1, table, Row(table, (b"1", b"Ann")))
        assert transform(change) is change

    def test_a_column_is_named_as_a_whole_and_in_either_case(
        self, transform: ColumnTransform
    ) -> None:
        for schema, name in (("my_public", "users"), ("public", "users2"), ("s", "public.users")):
            table = relation(column("secret"), schema=schema, name=name)
            made = _applied(transform, _insert(b"hidden", table=table))
            if isinstance(transform, IncludeColumns):
                assert made.relation.columns == ()
            else:
                assert made.after is not None
                assert made.after.raw == (b"hidden",)
        loud = relation(column("ID", "int4"), column("SECRET"), schema="PUBLIC", name="Users")
        made = _applied(transform, _insert(b"1", b"hidden", table=loud))
        assert made.after is not None
        assert made.after.raw[0] == b"1"
        assert made.after.raw[1:] != [b"hidden"]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
class TestSchemaChanges:
    BEFORE = relation(column("id", "int4"), column("secret"), name="users", primary_key=["id"])

    def _change(self, later: Relation) -> SchemaChange:
        return SchemaChange(900, TRANSACTION, 1, later, self.BEFORE)

    def test_both_versions_are_those_of_the_rows(self, transform: ColumnTransform) -> None:
        rows_before = _applied(transform, _insert(b"1", b"hidden", table=self.BEFORE))
        change = _applied(transform, self._change(USERS))
        rows_after = _applied(transform, _insert(b"1", b"Ann", b"hidden"))
        assert isinstance(change, SchemaChange)
        assert change.previous is rows_before.relation
        assert change.relation is rows_after.relation
        assert list(change.added) == ["name"]
        assert list(change.dropped) == []

    def test_a_version_that_is_left_alone_beside_one_that_is_not(
        self, transform: ColumnTransform
    ) -> None:
        without = relation(column("id", "int4"), name="users", primary_key=["id"])
        change = _applied(transform, self._change(without))
        assert isinstance(change, SchemaChange)
        assert change.relation is without
        assert change.previous.base is self.BEFORE
        hides = isinstance(transform, (ExcludeColumns, IncludeColumns))
        assert list(change.dropped) == ([] if hides else ["secret"])

    def test_two_versions_that_are_left_alone(self, transform: ColumnTransform) -> None:
        one, other = (relation(column("id", "int4"), name="users") for _ in "12")
        change = SchemaChange(900, TRANSACTION, 1, one, other)
        assert transform(change) is change


# -- columns left out


class TestExcludeAndInclude:
    def test_columns(self) -> None:
        for transform, names in (
            (ExcludeColumns("public.users.secret"), ["id", "name"]),
            (ExcludeColumns(["public.users.secret", "public.users.id"]), ["name"]),
            (ExcludeColumns("public.users.secret,public.users.id"), ["name"]),
            (ExcludeColumns(r".*\.users\..*"), []),
            (IncludeColumns("public.users.secret"), ["secret"]),
            (IncludeColumns(r"public\.users\.(id|secret)"), ["id", "secret"]),
            (IncludeColumns("nothing"), []),
        ):
            made = _applied(transform, _insert(b"1", b"Ann", b"hidden"))
            assert made.after is not None
            assert list(made.after) == [each.name for each in made.relation.columns] == names
            assert len(made.after.raw) == len(names)

    def test_what_is_left_is_as_it_was(self) -> None:
        made = _applied(ExcludeColumns("public.users.name"), _insert(b"1", UNCHANGED, None))
        assert made.relation.columns == (USERS.columns[0], USERS.columns[2])
        assert made.relation.catalog is USERS.catalog
        assert made.after is not None
        assert dict(made.after) == {"id": "1", "secret": None}

    def test_no_expression_leaves_nothing_out(self) -> None:
        change = _insert(b"1", b"Ann", b"hidden")
        assert ExcludeColumns("")(change) is change
        assert ExcludeColumns(())(change) is change
        assert _applied(IncludeColumns(""), change).relation.columns == ()


# -- masks


TEXTS = [column("c", name) for name in ("text", "varchar", "bpchar", "char", "name")]
CHARACTERS = [
    *TEXTS,
    column("c", "mood", oid=16400),
    column("c", "demo", oid=16402),
    column("c", "email", oid=16403),
]
"""Columns of character types, an enum, a domain over one, a domain over text."""
OTHERS = [
    *(column("c", name) for name in ("int4", "uuid", "json", "jsonb", "bytea", "inet", "_text")),
    column("c", "_mood", oid=16401),
    column("c", "price", oid=16404),
]


def _name(made: Column) -> str:
    return str(made.type_name)


class TestMask:
    MASK = MaskColumns(".*", chars=3)

    @pytest.mark.parametrize("made", CHARACTERS, ids=_name)
    def test_characters(self, made: Column) -> None:
        for value in (b"", b"x", b"hidden", "\u00e9\U0001f600".encode(), b"\xff"):
            assert _value(self.MASK, made, value) == b"***"

    @pytest.mark.parametrize("made", OTHERS, ids=_name)
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert _value(self.MASK, made, b"1") == b"1"
        assert _value(self.MASK, made, None) is None
        alteration = _altered(self.MASK, made).alteration
        assert alteration is not None
        assert (alteration.parameters, alteration.alter, alteration.instead) == (
            (("masked", "true"),),
            None,
            None,
        )

    def test_null_is_masked_and_what_was_not_sent_is_not(self) -> None:
        assert _value(self.MASK, column("c"), None) == b"***"
        assert _value(self.MASK, column("c"), UNCHANGED) is UNCHANGED
        assert _value(self.MASK, column("c"), NOT_SENT) is NOT_SENT

    def test_a_binary_value_stays_one(self) -> None:
        made = _value(self.MASK, column("c"), BinaryValue(b"hidden"))
        assert type(made) is BinaryValue
        assert made == b"***"

    def test_formats_are_told(self) -> None:
        alteration = _altered(self.MASK, column("c")).alteration
        assert alteration is not None
        assert alteration.parameters == (("masked", "true"),)
        assert alteration.instead == "***"
        assert alteration.alter is not None
        assert alteration.alter("x") == "***"

    def test_length(self) -> None:
        assert _value(MaskColumns(".*", chars=0), column("c"), b"hidden") == b""
        assert _value(MaskColumns(".*", chars=12), column("c", "varchar", 9), b"x") == b"*" * 12

    def test_a_negative_length_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="chars must be 0 or more, not -1"):
            MaskColumns(".*", chars=-1)

    def test_without_a_catalog_the_stream_names_the_type(self) -> None:
        # A type that nobody describes may be an enum.
        for type_name, expected in (("text", b"***"), ("mood", b"***"), ("int4", b"x")):
            made = column("c", type_name, oid=16400 if type_name == "mood" else None)
            bare = relation(made, with_catalog=False)
            after = _applied(self.MASK, _insert(b"x", table=bare)).after
            assert after is not None
            assert list(after.raw) == [expected]


# -- hashes


def _hash(**options: Any) -> HashColumns:
    return HashColumns(".*", **{"algorithm": "SHA-256", "salt": "salty", **options})


class TestHash:
    # What Debezium 3.6.3 wrote.
    @pytest.mark.parametrize(
        ("options", "value", "expected"),
        [
            (
                *({"version": 1}, b"alpha beta"),
                "61f747aea46cba96f23b77e8dab8480811cc699acb0764c366986b8e660fe2b3",
            ),
            ({"version": 2}, b"bravo charlie", "0d88180f1f8ce7d1221a"),
            ({"algorithm": "MD5"}, b"a", "90fc3ee952"),
        ],
    )
    def test_known(self, options: dict[str, Any], value: bytes, expected: str) -> None:
        made = _value(_hash(**options), column("c"), value)
        assert isinstance(made, bytes)
        assert made.decode().startswith(expected)

    def test_version_2_is_the_hash_of_salt_and_text(self) -> None:
        for value in (b"", b"a", "\u00e9\U0001f600\0".encode(), b"\xff"):
            expected = hashlib.sha256(b"salty" + value).hexdigest().encode()
            assert _value(_hash(version=2), column("c"), value) == expected

    @pytest.mark.parametrize(
        ("text", "serialised"),
        [
            ("", b"t\0\0"),
            ("a", b"t\0\x01a"),
            ("\u00e9", b"t\0\x02\xc3\xa9"),
            # Each half of a character beyond U+FFFF by itself, and NUL as two bytes.
            ("\U0001f600", b"t\0\x06\xed\xa0\xbd\xed\xb8\x80"),
            ("x\0y", b"t\0\x04x\xc0\x80y"),
            ("a" * 65535, b"t\xff\xff" + b"a" * 65535),
            ("a" * 65536, b"|\0\0\0\0\0\x01\0\0" + b"a" * 65536),
        ],
    )
    def test_version_1_is_the_hash_of_salt_and_java_object(
        self, text: str, serialised: bytes
    ) -> None:
        expected = hashlib.sha256(b"salty\xac\xed\0\x05" + serialised).hexdigest().encode()
        assert _value(_hash(), column("c"), text.encode()) == expected

    def test_null_and_what_was_not_sent_stay(self) -> None:
        for value in (None, UNCHANGED, NOT_SENT):
            assert _value(_hash(), column("c"), value) is value

    def test_a_binary_value_stays_one(self) -> None:
        made = _value(_hash(), column("c"), BinaryValue(b"a"))
        assert type(made) is BinaryValue
        assert made == _value(_hash(), column("c"), b"a")

    @pytest.mark.parametrize("made", CHARACTERS, ids=_name)
    def test_characters(self, made: Column) -> None:
        value = _value(_hash(), made, b"happy")
        expected = _value(_hash(), column("c"), b"happy")
        assert isinstance(value, bytes)
        assert isinstance(expected, bytes)
        assert value == (expected[:1] if made.type_name == "char" else expected)

    @pytest.mark.parametrize("made", OTHERS, ids=_name)
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert _value(_hash(), made, b"1") == b"1"
        alteration = _altered(_hash(), made).alteration
        assert alteration is not None
        assert alteration.alter is None

    @pytest.mark.parametrize(
        ("made", "length"),
        [
            (column("c", "varchar", 14), 10),
            (column("c", "bpchar", 7), 3),
            (column("c", "char"), 1),
            (column("c", "varchar"), 64),
            (column("c", "varchar", 104), 64),
            (column("c", "email", oid=16403), 64),
        ],
    )
    def test_is_cut_to_what_the_column_allows(self, made: Column, length: int) -> None:
        whole = _value(_hash(), column("c"), b"alpha beta")
        assert isinstance(whole, bytes)
        assert _value(_hash(), made, b"alpha beta") == whole[:length]

    def test_formats_are_told(self) -> None:
        alteration = _altered(_hash(), column("c", "varchar", 14)).alteration
        assert alteration is not None
        assert alteration.parameters == (("masked", "true"),)
        assert alteration.instead is None
        assert alteration.alter is not None
        assert alteration.alter("alpha beta") == "61f747aea4"

    @pytest.mark.parametrize(
        ("algorithm", "name"),
        [
            ("SHA-256", "sha256"),
            ("sha-512", "sha512"),
            ("SHA-1", "sha1"),
            ("SHA", "sha1"),
            ("MD5", "md5"),
            ("SHA3-256", "sha3_256"),
            ("SHA-512/256", "sha512_256"),
        ],
    )
    def test_algorithms_as_java_writes_them(self, algorithm: str, name: str) -> None:
        expected = hashlib.new(name, b"saltya").hexdigest().encode()
        made = _hash(algorithm=algorithm, salt="salt", version=2)
        assert _value(made, column("c"), b"ya") == expected

    @pytest.mark.parametrize("algorithm", ["", "SHA-257", "none", "SHAKE_128"])
    def test_other_algorithms_are_refused(self, algorithm: str) -> None:
        with pytest.raises(ConfigurationError, match="hash"):
            _hash(algorithm=algorithm)

    @pytest.mark.parametrize("version", [0, 3, "1", None])
    def test_other_versions_are_refused(self, version: object) -> None:
        with pytest.raises(ConfigurationError, match="version must be 1 or 2"):
            _hash(version=version)

    @given(st.text(), st.text())
    def test_equal_texts_have_equal_hashes(self, one: str, other: str) -> None:
        first, second = (
            _value(_hash(), column("c"), each.encode("utf-8", "replace")) for each in (one, other)
        )
        same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
        assert (first == second) is same


# -- text cut off


class TestTruncate:
    CUT = TruncateColumns(".*", chars=4)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ""),
            ("abcd", "abcd"),
            ("abcde", "abcd"),
            ("\u00e9\u00e9\u00e9\u00e9\u00e9", "\u00e9\u00e9\u00e9\u00e9"),
            # A character beyond U+FFFF counts as two, and is never cut in two.
            ("\U0001f600\U0001f600\U0001f600", "\U0001f600\U0001f600"),
            ("abc\U0001f600", "abc"),
            ("ab\U0001f600c", "ab\U0001f600"),
        ],
    )
    def test_text(self, text: str, expected: str) -> None:
        assert _value(self.CUT, column("c"), text.encode()) == expected.encode()

    def test_bytes_that_are_no_utf8_are_kept(self) -> None:
        assert _value(self.CUT, column("c"), b"a\xff\xfe\x80xy") == b"a\xff\xfe\x80"

    @pytest.mark.parametrize("made", CHARACTERS, ids=_name)
    def test_characters(self, made: Column) -> None:
        assert _value(self.CUT, made, b"happy") == b"happ"

    @pytest.mark.parametrize(
        "type_name",
        [
            *("json", "jsonb", "xml", "uuid", "inet", "cidr", "macaddr", "macaddr8", "tsvector"),
            *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
        ],
    )
    def test_types_that_are_written_as_their_text(self, type_name: str) -> None:
        assert _value(self.CUT, column("c", type_name), b"123456") == b"1234"
        # In binary form that is not their text.
        binary = BinaryValue(b"123456")
        assert _value(self.CUT, column("c", type_name), binary) is binary

    @pytest.mark.parametrize("type_name", ["citext", "ltree"])
    def test_types_of_extensions(self, type_name: str) -> None:
        own = CatalogType(16500, "public", type_name, "b")
        for table in (
            relation(column("c", type_name, oid=16500), types=[own]),
            relation(column("c", type_name, oid=16500), with_catalog=False),
        ):
            after = _applied(self.CUT, _insert(b"abcdef", table=table)).after
            assert after is not None
            assert after.raw == [b"abcd"]

    def test_binary_text(self) -> None:
        made = _value(self.CUT, column("c"), BinaryValue(b"abcdef"))
        assert type(made) is BinaryValue
        assert made == b"abcd"

    def test_bytea(self) -> None:
        made = column("c", "bytea")
        assert _value(self.CUT, made, b"\\x00112233445566") == b"\\x00112233"
        assert _value(self.CUT, made, b"\\x0011") == b"\\x0011"
        binary = _value(self.CUT, made, BinaryValue(b"\x00\x11\x22\x33\x44"))
        assert type(binary) is BinaryValue
        assert binary == b"\x00\x11\x22\x33"
        for value in (None, UNCHANGED, NOT_SENT):
            assert _value(self.CUT, made, value) is value
        alteration = _altered(self.CUT, made).alteration
        assert alteration is not None
        assert (alteration.parameters, alteration.alter) == ((("truncateLength", "4"),), None)

    @pytest.mark.parametrize(
        "made",
        [
            *(column("c", name) for name in ("int4", "float8", "date", "timestamptz", "_text")),
            column("c", "price", oid=16404),
            column("c", "_mood", oid=16401),
        ],
        ids=_name,
    )
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert _value(self.CUT, made, b"123456") == b"123456"
        alteration = _altered(self.CUT, made).alteration
        assert alteration is not None
        assert alteration.alter is None

    def test_null_and_what_was_not_sent_stay(self) -> None:
        for value in (None, UNCHANGED, NOT_SENT):
            assert _value(self.CUT, column("c"), value) is value

    def test_formats_are_told(self) -> None:
        alteration = _altered(self.CUT, column("c")).alteration
        assert alteration is not None
        assert alteration.parameters == (("truncateLength", "4"),)
        assert alteration.instead is None
        assert alteration.alter is not None
        assert alteration.alter("abcdef") == "abcd"

    @pytest.mark.parametrize("chars", [0, -1])
    def test_no_length_is_refused(self, chars: int) -> None:
        with pytest.raises(ConfigurationError, match="chars must be 1 or more"):
            TruncateColumns(".*", chars=chars)

    @given(st.text(), st.integers(1, 10))
    def test_any_text(self, text: str, chars: int) -> None:
        value = text.encode("utf-8", "replace")
        made = _value(TruncateColumns(".*", chars=chars), column("c"), value)
        assert isinstance(made, bytes)
        cut = made.decode()
        assert value.decode().startswith(cut)
        units = len(cut.encode("utf-16-le")) // 2
        assert units <= chars
        # No character more would fit.
        rest = value.decode()[len(cut) :]
        assert not rest or units + len(rest[0].encode("utf-16-le")) // 2 > chars


@pytest.mark.parametrize(
    "make",
    [
        ExcludeColumns,
        IncludeColumns,
        lambda columns: MaskColumns(columns, chars=1),
        lambda columns: HashColumns(columns, algorithm="MD5", salt=""),
        lambda columns: TruncateColumns(columns, chars=1),
    ],
)
def test_what_is_no_expression_is_refused(make: Callable[[str], ColumnTransform]) -> None:
    with pytest.raises(ConfigurationError, match="columns: not a regular expression"):
        make("public.(.*")


class TestTwoOfOneColumn:
    @staticmethod
    def _after(*transforms: ColumnTransform) -> Insert:
        table = relation(column("id", "int4", identity=True), column("c"), primary_key=["id"])
        change: Change = Insert(1, None, 0, table, Row(table, (b"1", b"abcdef")))
        for transform in transforms:
            change = transform(change)
        assert isinstance(change, Insert)
        return change

    def test_the_second_alters_what_the_first_has_made(self) -> None:
        mask, cut = MaskColumns(".*c", chars=5), TruncateColumns(".*c", chars=2)
        assert self._after(mask, cut).after["c"] == "**"
        assert self._after(cut, mask).after["c"] == "*****"

    def test_formats_are_told_of_both(self) -> None:
        mask, cut = MaskColumns(".*c", chars=5), TruncateColumns(".*c", chars=2)
        alteration = self._after(mask, cut).relation.columns[1].alteration
        assert alteration is not None
        assert alteration.parameters == (("masked", "true"), ("truncateLength", "2"))
        assert alteration.instead == "**"
        assert alteration.alter is not None
        assert alteration.alter("abcdef") == "**"
        later = self._after(cut, mask).relation.columns[1].alteration
        assert later is not None
        assert later.instead == "*****"

    def test_one_that_alters_nothing_leaves_the_other(self) -> None:
        cut = TruncateColumns(".*c", chars=2)
        for transforms in ([cut, ExcludeColumns("none")], [ExcludeColumns("none"), cut]):
            alteration = self._after(*transforms).relation.columns[1].alteration
            assert alteration is not None
            assert alteration.parameters == (("truncateLength", "2"),)
            assert alteration.instead is None
            assert alteration.alter is not None
            assert alteration.alter("abcdef") == "ab"


# -- together with the formats


def _debezium(**options: Any) -> DebeziumFormatter:
    return DebeziumFormatter(topic_prefix="dbz", **options)


KEYED: Sequence[ColumnTransform] = (
    ExcludeColumns("public.users.id"),
    IncludeColumns("public.users.name"),
    MaskColumns("public.users.id", chars=3),
    HashColumns("public.users.id", algorithm="MD5", salt="s"),
    TruncateColumns("public.users.id", chars=1),
)
TEXT_KEY = relation(
    *(column("id", identity=True), column("name"), column("secret")),
    name="users",
    primary_key=["id"],
    not_null=["id"],
)


@pytest.mark.parametrize("transform", KEYED, ids=lambda transform: type(transform).__name__)
class TestKeys:
    """Keys stay as the server sent them."""

    def _changes(self, transform: ColumnTransform) -> list[RowChange]:
        old, new = (_row(each, b"Ann", b"x", table=TEXT_KEY) for each in (b"key 1", b"key 2"))
        key = _row(b"key 1", NOT_SENT, NOT_SENT, table=TEXT_KEY)
        changes = [
            Insert(900, TRANSACTION, 1, TEXT_KEY, old),
            Update(910, TRANSACTION, 2, TEXT_KEY, key, new),
            Delete(920, TRANSACTION, 3, TEXT_KEY, key),
        ]
        return [_applied(transform, change) for change in changes]

    def test_of_changes(self, transform: ColumnTransform) -> None:
        insert, update, delete = self._changes(transform)
        assert insert.key == delete.key == {"id": "key 1"}
        assert isinstance(update, Update)
        assert update.key == {"id": "key 2"}
        assert update.old_key == {"id": "key 1"}
        assert update.key_changed

    def test_of_debezium_records(self, transform: ColumnTransform) -> None:
        formatter = _debezium()
        keys = [
            [record.key for record in formatter.format(change)]
            for change in self._changes(transform)
        ]
        assert keys == [
            [b'{"id":"key 1"}'],
            [b'{"id":"key 1"}', b'{"id":"key 1"}', b'{"id":"key 2"}'],
            [b'{"id":"key 1"}', b'{"id":"key 1"}'],
        ]

    def test_of_tombstones(self, transform: ColumnTransform) -> None:
        inner = DmsFormatter(partition_key="primary-key", partition_include_schema_table=True)
        for key, one, two in (
            (
                "json",
                b'{"schema":"public","table":"users","id":"key 1"}',
                b'{"schema":"public","table":"users","id":"key 2"}',
            ),
            ("formatter", b"public.users.key 1", b"public.users.key 2"),
        ):
            tombstones = Tombstones(inner, key=key)  # type: ignore[arg-type]
            shape = [
                [(record.key, record.value is None) for record in tombstones.format(change)]
                for change in self._changes(transform)
            ]
            assert shape == [
                [(one, False)],
                [(two, False), (one, True)],
                [(one, False), (one, True)],
            ]

    def test_of_dms_records(self, transform: ColumnTransform) -> None:
        formatter = DmsFormatter(partition_key="primary-key")
        keys = [
            record.key for change in self._changes(transform) for record in formatter.format(change)
        ]
        assert keys == [b"key 1", b"key 2", b"key 1"]


class TestDebezium:
    def _before_and_after(self, transform: ColumnTransform, change: Change) -> tuple[Any, Any]:
        record = _debezium().format(transform(change))[0]
        content = json.loads(record.value or b"")
        return content["before"], content["after"]

    def test_rows_without_a_column(self) -> None:
        (insert, _update, update, by_key, *_rest) = _changes()
        for transform in (
            ExcludeColumns("public.users.secret"),
            IncludeColumns("public.users.(id|name)"),
        ):
            row = {"id": 1, "name": "Ann"}
            assert self._before_and_after(transform, insert) == (None, row)
            assert self._before_and_after(transform, update) == (row, row)
            assert self._before_and_after(transform, by_key) == ({"id": 1, "name": None}, None)

    def test_masked_rows(self) -> None:
        mask = MaskColumns("public.users.secret", chars=3)
        for value in (b"hidden", None, UNCHANGED):
            after = self._before_and_after(mask, _insert(b"1", b"Ann", value))[1]
            assert after == {"id": 1, "name": "Ann", "secret": "***"}
        gone = Delete(900, TRANSACTION, 1, USERS, _row(b"1", NOT_SENT, NOT_SENT))
        before = self._before_and_after(mask, gone)[0]
        assert before == {"id": 1, "name": None, "secret": "***"}

    def test_cut_rows(self) -> None:
        cut = TruncateColumns("public.users.secret", chars=2)
        for value, expected in ((b"hidden", "hi"), (None, None), (UNCHANGED, "__")):
            after = self._before_and_after(cut, _insert(b"1", b"Ann", value))[1]
            assert after == {"id": 1, "name": "Ann", "secret": expected}

    def test_hashed_rows(self) -> None:
        hashed = HashColumns("public.users.secret", algorithm="MD5", salt="salty")
        for value, expected in ((b"a", "90fc3ee952"), (None, None)):
            after = self._before_and_after(hashed, _insert(b"1", b"Ann", value))[1]
            assert (after["secret"] or "")[:10] == (expected or "")
        # The placeholder of a value that was not sent is hashed like one.
        after = self._before_and_after(hashed, _insert(b"1", b"Ann", UNCHANGED))[1]
        placeholder = b"__debezium_unavailable_value"
        assert after["secret"].encode() == _value(
            HashColumns(".*", algorithm="MD5", salt="salty"), column("c"), placeholder
        )

    def test_schemas_tell_it(self) -> None:
        formatter = _debezium(schemas_enable=True)
        for transform, parameters in (
            (MaskColumns("public.users.secret", chars=3), {"masked": "true"}),
            (
                HashColumns("public.users.secret", algorithm="MD5", salt="s"),
                {"masked": "true"},
            ),
            (TruncateColumns("public.users.secret", chars=2), {"truncateLength": "2"}),
        ):
            (record,) = formatter.format(transform(_insert(b"1", b"Ann", b"x")))
            row = json.loads(record.value or b"")["schema"]["fields"][1]["fields"]
            assert row[2] == {
                "type": "string",
                "optional": True,
                "parameters": parameters,
                "field": "secret",
            }
            assert "parameters" not in row[1]

    def test_an_update_of_a_column_that_is_left_out_changes_nothing(self) -> None:
        full = attrs.evolve(USERS, replica_identity=ReplicaIdentity.FULL)
        old, new = (_row(b"1", b"Ann", each, table=full) for each in (b"old", b"new"))
        change = Update(900, TRANSACTION, 1, full, old, new)
        formatter = _debezium(skip_messages_without_change=True)
        assert len(formatter.format(change)) == 1
        assert formatter.format(ExcludeColumns("public.users.secret")(change)) == ()
