"""What `DmsFormatter` writes comes back, as far as the format can carry it; all else is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import NOT_SENT, UNCHANGED, Absent
from pglogical_cdc.errors import RecordFormatError
from pglogical_cdc.events import (
    Change,
    Column,
    Delete,
    Insert,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    SchemaChange,
    SnapshotRead,
    Tombstone,
    Transaction,
    Update,
    base_type,
)
from pglogical_cdc.formatters.base import Formatter, Record
from pglogical_cdc.formatters.dms.formatter import DmsFormatter
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns
from pglogical_cdc.formatters.tombstone import Tombstones
from pglogical_cdc.lsn import LSN
from pglogical_cdc.parsers.dms.parser import DmsParser
from tests.formatters.tables import column, relation
from tests.golden.replay import replay_changes

# -- values, as the server writes them

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_YEARS = st.integers(1, 9999)


def _integers(bits: int) -> st.SearchStrategy[str]:
    limit = 1 << bits - 1
    return st.one_of(st.sampled_from([-limit, limit - 1, 0]), st.integers(-limit, limit - 1)).map(
        str
    )


def _numeric() -> st.SearchStrategy[str]:
    def text(number: int, scale: int) -> str:
        return f"{Decimal(number).scaleb(-scale):f}" if number or not scale else f"0.{'0' * scale}"

    limit = 10**38 - 1
    return st.builds(text, st.integers(-limit, limit), st.integers(0, 20)) | st.just("NaN")


def _double(number: float) -> str:
    return repr(number).removesuffix(".0")


def _single(number: float) -> str:
    return next(
        text
        for digits in range(1, 10)
        if _as_single(text := f"{number:.{digits}g}") == number or digits == 9
    )


def _as_single(text: str) -> float | None:
    try:
        found: float = struct.unpack("<f", struct.pack("<f", float(text)))[0]
        return found
    except OverflowError:
        return None


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_NOT_FINITE = st.sampled_from(["NaN", "Infinity", "-Infinity"])
_DAYS = st.builds("{:04d}-{:02d}-{:02d}".format, _YEARS, st.integers(1, 12), st.integers(1, 28))
_CLOCKS = st.builds(
    lambda time: time.isoformat().rstrip("0").rstrip(".") if time.microsecond else time.isoformat(),
    st.times(),
)
_ERAS = st.sampled_from(["", "", " BC"])
_ENDS = st.sampled_from(["infinity", "-infinity"])

VALUES: Final[Mapping[str, st.SearchStrategy[str]]] = {
    "int2": _integers(16),
    "int4": _integers(32),
    "int8": _integers(64),
    "float4": st.floats(width=32, allow_nan=False, allow_infinity=False).map(_single) | _NOT_FINITE,
    "float8": _FLOATS.map(_double) | _NOT_FINITE,
    "numeric": _numeric(),
    "bool": st.sampled_from("tf"),
    "text": _TEXT,
    "varchar": _TEXT,
    "jsonb": _TEXT.map(json.dumps),
    "bytea": st.binary(max_size=8).map(lambda content: "\\x" + content.hex()),
    "date": st.builds("{}{}".format, _DAYS, _ERAS) | _ENDS,
    "time": _CLOCKS,
    "timestamp": st.builds("{} {}{}".format, _DAYS, _CLOCKS, _ERAS) | _ENDS,
    "timestamptz": st.builds("{} {}+00{}".format, _DAYS, _CLOCKS, _ERAS) | _ENDS,
}
_LOBS: Final = ("text", "jsonb", "bytea")
_KEYS: Final = sorted(VALUES.keys() - {"float4", "float8", "numeric", "bytea"})

_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
).filter(lambda name: not name.startswith("BI_")) | st.sampled_from(
    ["id", "schema", "table", 'a"b', "data", "before-image", "Ünïcode 😀", "ctl\x01\n"]
)


@record
class _Case:
    relation: Relation
    primary_key: tuple[str, ...]
    inserted: Sequence[RawValue]
    updated: Sequence[RawValue]
    options: Mapping[str, Any]
    tombstones: bool

    @property
    def full(self) -> bool:
        return self.relation.replica_identity is ReplicaIdentity.FULL

    @property
    def before_image(self) -> BeforeImage | BeforeImageColumns | None:
        found: BeforeImage | BeforeImageColumns | None = self.options["before_image"]
        return found

    @property
    def old(self) -> list[RawValue]:
        """The row as the server sends it when it is updated or deleted."""
        return [
            value if self.full or column.name in self.primary_key else NOT_SENT
            for column, value in zip(self.relation.columns, self.inserted, strict=True)
        ]

    @property
    def key_changes(self) -> bool:
        positions = self.relation.key_positions or ()
        return any(self.inserted[each] != self.updated[each] for each in positions)

    @property
    def key_types(self) -> set[str]:
        positions = self.relation.key_positions or ()
        return {str(self.relation.columns[each].type_name) for each in positions}

    @property
    def plain_key(self) -> bool:
        """Whether a key is the same in data and in a record's key."""
        return self.key_types.isdisjoint(("int8", "bool", "timestamp"))


@st.composite
def _cases(draw: st.DrawFn) -> _Case:
    names = draw(st.lists(_NAMES, min_size=1, max_size=5, unique=True))
    table = draw(_NAMES)
    # Of such a name and the column's own, Tombstones makes the same.
    names = [name for name in names if not name.startswith(f"{table}.")] or ["id"]
    key = draw(st.permutations(names))[: draw(st.integers(1, 2))]
    types = [draw(st.sampled_from(_KEYS if name in key else sorted(VALUES))) for name in names]
    full = draw(st.booleans())
    columns = [
        column(name, kind, identity=full or name in key)
        for name, kind in zip(names, types, strict=True)
    ]
    made = relation(
        *columns,
        schema=draw(_NAMES),
        name=table,
        identity=ReplicaIdentity.FULL if full else ReplicaIdentity.DEFAULT,
        primary_key=key,
        not_null=key,
    )
    rows = [
        [
            draw(VALUES[kind] if name in key else st.none() | VALUES[kind])
            for name, kind in zip(names, types, strict=True)
        ]
        for _ in range(2)
    ]
    inserted, updated = ([None if each is None else each.encode() for each in row] for row in rows)
    flags = (
        "include_transaction_details",
        "include_partition_value",
        "partition_include_schema_table",
        "include_table_alter_operations",
        "include_control_details",
        "include_null_and_empty",
        "no_hex_prefix",
        "use_large_integer_value",
        "map_boolean_as_boolean",
        "upper_hex",
        "numeric_as_string",
    )
    filters = st.sampled_from(["pk-only", "non-lob", "all"])
    images = (
        st.none()
        | st.builds(BeforeImage, st.just("old"), filters)
        | st.builds(BeforeImageColumns, st.just("BI_"), st.just(""), filters)
    )
    options = {
        **{flag: draw(st.booleans()) for flag in flags},
        "message_format": draw(st.sampled_from(["json", "json-unformatted"])),
        "before_image": draw(images),
        **draw(
            st.sampled_from(
                [
                    *(
                        {"partition_key": kind}
                        for kind in ("schema-table", "primary-key", "transaction-id")
                    ),
                    {"partition_key": "constant", "partition_key_value": "{}"},
                    {"partition_key": "attribute-name", "partition_key_name": names[0]},
                ]
            )
        ),
    }
    return _Case(made, tuple(key), inserted, updated, options, draw(st.booleans()))


def _strict(record: Record) -> None:
    """Check that a value is JSON, also to a reader that takes nothing else."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(name)

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(members)) == len(members)
        return dict(members)

    if record.value is not None:
        json.loads(record.value.decode(), parse_constant=refuse, object_pairs_hook=once)


class _Topic:
    """Changes of one table, written and read back."""

    def __init__(self, case: _Case) -> None:
        self._case = case
        dms = DmsFormatter(**case.options)
        self._formatter: Formatter = Tombstones(dms) if case.tombstones else dms
        table = case.relation
        self._parser = DmsParser(
            field_name="old",
            column_prefix="BI_" if isinstance(case.before_image, BeforeImageColumns) else "",
            # The keys of Tombstones tell it.
            primary_keys={}
            if case.tombstones
            else {f"{table.schema}.{table.name}": case.primary_key},
        )

    def read(self, change: Change) -> list[Any]:
        """Return the events of the records that a change makes."""
        records = self._formatter.format(change)
        for each in records:
            _strict(each)
        return [self._parser.parse(each.value, each.key) for each in records]

    def load(self) -> list[Any]:
        """Return the events of the first record, which is one of a snapshot."""
        row = Row(self._case.relation, self._case.inserted)
        return self.read(SnapshotRead(4000, None, 0, self._case.relation, row))

    def check(self, found: Row, given: Sequence[RawValue], hidden: Absent | None) -> None:
        """Check that a row has the values of another.

        Args:
            found: the row that was read.
            given: the values that were written.
            hidden: what is in the row for a value that no record shows.
        """
        shown = self._case.options["include_null_and_empty"]
        for each, value in zip(self._case.relation.columns, given, strict=True):
            null = _is_null(each, value)
            if each.name not in found:
                # Nobody has shown it yet.
                assert not isinstance(value, bytes) or null
                assert value is not None or not shown
                continue
            back = found.raw[found.relation.positions[each.name]]
            if null or isinstance(value, Absent):
                wanted = (None, hidden) if null and not shown else (None if null else value,)
                assert back in wanted
            else:
                assert isinstance(value, bytes)
                assert isinstance(back, bytes)
                self._check_value(str(each.type_name), value.decode(), back.decode())

    def _check_value(self, kind: str, given: str, found: str) -> None:
        options = self._case.options
        defined = options["include_control_details"]
        if kind == "int8" and not options["use_large_integer_value"] and len(given) > 16:
            assert float(found) == float(given)
        elif kind == "float4":
            assert _as_single(found) == _as_single(given)
        elif kind == "float8":
            assert float(found) == float(given)
        elif kind == "bytea" and not defined:
            assert found.lower().removeprefix("0x") == given[2:]
        elif kind == "bool" and not options["map_boolean_as_boolean"]:
            assert found == {"t": "true", "f": "false"}[given]
        elif kind in ("timestamp", "timestamptz"):
            assert _moment(found) == _moment(given)
        else:
            assert found == given


def _is_null(column: Column, value: RawValue) -> bool:
    """Tell whether a value is written as NULL is."""
    numbers = ("float4", "float8", "numeric")
    return value is None or (
        column.type_name in numbers and value in (b"NaN", b"Infinity", b"-Infinity")
    )


def _moment(text: str) -> str:
    """Return a timestamp without what the ways to write it differ in."""
    plain = text.replace("T", " ").replace("+00", "").replace("Z", "")
    return plain.rstrip("0").rstrip(".") if "." in plain and " BC" not in plain else plain


@settings(max_examples=200)
@given(_cases())
def test_a_load_and_its_table(case: _Case) -> None:
    *tables, load = _Topic(case).load()

    assert isinstance(load, SnapshotRead)
    assert (load.schema, load.table) == (case.relation.schema, case.relation.name)
    assert load.transaction is None
    assert load.key is not None
    assert tuple(load.key) == case.primary_key
    assert len(tables) == case.options["include_control_details"]
    for created in tables:
        assert isinstance(created, SchemaChange)
        types = {column.name: column.type_name for column in created.relation.columns}
        as_text = "bool" if case.options["map_boolean_as_boolean"] else "varchar"
        assert types == {
            column.name: {"timestamp": "timestamptz", "jsonb": "text", "bool": as_text}.get(
                str(column.type_name), column.type_name
            )
            for column in case.relation.columns
        }


@settings(max_examples=200)
@given(_cases())
def test_new_rows(case: _Case) -> None:
    topic = _Topic(case)
    transaction = Transaction(750, LSN(5000), 1_700_000_000_000_001)
    load = topic.load()[-1]
    row = Row(case.relation, case.updated)

    [insert] = topic.read(Insert(4100, transaction, 1, case.relation, row))

    topic.check(load.after, case.inserted, None)
    topic.check(insert.after, case.updated, None)
    assert isinstance(insert, Insert)
    assert insert.transaction is not None
    assert insert.transaction.xid == 750
    if case.options["include_transaction_details"]:
        assert insert.transaction.commit_timestamp == transaction.commit_timestamp
        assert (insert.lsn, insert.ordinal) == (LSN(4100), 1)


@settings(max_examples=300)
@given(_cases())
def test_updates(case: _Case) -> None:
    topic = _Topic(case)
    topic.load()
    transaction = Transaction(750, LSN(5000), 1_700_000_000_000_001)
    before = Row(case.relation, case.old) if case.full or case.key_changes else None
    after = Row(case.relation, case.updated)

    [update, *tombstones] = topic.read(Update(4100, transaction, 1, case.relation, before, after))

    assert isinstance(update, Update)
    topic.check(update.after, case.updated, UNCHANGED)
    assert len(tombstones) == (case.tombstones and case.key_changes)
    image = case.before_image
    if image is None:
        assert update.before is None
        return
    if image.column_filter == "non-lob" and not case.key_types.isdisjoint(_LOBS):
        return  # The filter leaves out parts of the key.
    if "int8" in case.key_types and not case.options["use_large_integer_value"]:
        # As doubles two keys may be the same.
        assert update.key_changed <= case.key_changes
    else:
        assert update.key_changed == case.key_changes
    assert (update.before is None) == (before is None)
    if update.before is not None:
        # The filter may leave out all but the key.
        sent = [
            NOT_SENT if update.before.get(column.name, NOT_SENT) is NOT_SENT else value
            for column, value in zip(case.relation.columns, case.old, strict=True)
        ]
        topic.check(update.before, sent, NOT_SENT)
        assert set(update.before.missing).isdisjoint(case.primary_key)
        # In columns, NULL is the same as what was not sent.
        if image.column_filter == "all" and isinstance(image, BeforeImage):
            topic.check(update.before, case.old, NOT_SENT)
    for tombstone in tombstones:
        assert isinstance(tombstone, Tombstone)
        assert (tombstone.schema, tombstone.table) == (update.schema, update.table)
        assert tombstone.key is not None
        assert tuple(tombstone.key) == case.primary_key
        if case.options["include_control_details"] and case.plain_key:
            assert tombstone.key == update.old_key


@settings(max_examples=200)
@given(_cases())
def test_deletes(case: _Case) -> None:
    topic = _Topic(case)
    topic.load()
    transaction = Transaction(750, LSN(5000), 1_700_000_000_000_001)

    [delete, *tombstones] = topic.read(
        Delete(4100, transaction, 1, case.relation, Row(case.relation, case.old))
    )

    assert isinstance(delete, Delete)
    assert delete.key is not None
    assert tuple(delete.key) == case.primary_key
    shown = [
        each.name
        for each, value in zip(case.relation.columns, case.old, strict=True)
        if not isinstance(value, Absent) and not _is_null(each, value)
    ]
    if len(shown) > len(case.primary_key):
        topic.check(delete.before, case.old, NOT_SENT)
    else:
        # Of a row nothing but its key is there: it is the same as the image of a key.
        assert set(delete.before.missing) == delete.before.keys() - set(case.primary_key)
    assert len(tombstones) == case.tombstones
    for tombstone in tombstones:
        assert isinstance(tombstone, Tombstone)
        if case.options["include_control_details"] and case.plain_key:
            assert tombstone.key == delete.key


# -- a recorded stream


def test_a_recorded_stream_of_every_type() -> None:
    """With a definition of the table all but three kinds of values are the server's text again."""
    formatter = DmsFormatter(
        include_control_details=True,
        include_table_alter_operations=True,
        include_null_and_empty=True,
        include_transaction_details=True,
        before_image=BeforeImage("before-image", "all"),
        on_truncate="control",
    )
    parser = DmsParser()
    compared = 0
    for change in replay_changes():
        found = [parser.parse(each.value, each.key) for each in formatter.format(change)]
        if not isinstance(change, Insert | Update):
            continue
        last = found[-1]
        assert type(last) is type(change)
        assert isinstance(last, Insert | Update)
        assert (last.lsn, last.ordinal) == (change.lsn, change.ordinal)
        assert list(last.after) == list(change.after)
        for each, value, back in zip(
            change.relation.columns, change.after.raw, last.after.raw, strict=True
        ):
            kind = base_type(change.relation, each)[0]
            if isinstance(value, bytes) and kind in ("money", "timestamp"):
                wanted = value.removesuffix(b" BC") if kind == "timestamp" else b""
                assert isinstance(back, bytes)
                assert back.startswith(wanted)
            elif kind in ("float4", "float8", "numeric") and _is_null(each, value):
                assert back is None
            else:
                assert back == value
                compared += 1
    assert compared > 1000


# -- input that is no record


_SAMPLES: Final[Sequence[bytes]] = [
    b'{"data":{"id":1,"a":"x","b":null,"c":1.50,"d":true},"before-image":{"id":2},"metadata":'
    b'{"timestamp":"2026-01-02T03:04:05.000006Z","record-type":"data","operation":"update",'
    b'"schema-name":"public","table-name":"t","transaction-id":1139,"transaction-record-id":1,'
    b'"commit-timestamp":"2026-01-02T03:04:05.000006Z",'
    b'"stream-position":"00000002/7C007178.3.00000002/7C007178"}}',
    b'{"control":{"table-def":{"columns":{"id":{"type":"INT32","nullable":false},"a":{"type":'
    b'"STRING","length":40,"nullable":true},"c":{"type":"NUMERIC","precision":5,"scale":2}},'
    b'"primary-key":["id"]},"old-schema-name":"public","old-table-name":"s"},"metadata":'
    b'{"record-type":"control","operation":"rename-table","schema-name":"public",'
    b'"table-name":"t"}}',
]  # fmt: skip
_KEY: Final = b'{"schema":"public","table":"t","id":1}'

_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["data", "control", "insert", "\ud800", "infinity", "9e999999999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def _only_typed_errors(
    parser: DmsParser, value: bytes | str | None, key: bytes | str | None
) -> None:
    try:
        found = parser.parse(value, key)
    except RecordFormatError:
        return
    # All that a consumer may ask for is there.
    repr(found)
    if isinstance(found, Tombstone):
        return
    assert found.position >= (0, 0)
    for part in (found.key, found.before, found.after):
        if part is not None:
            dict(part)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.binary() | st.text() | st.none(), st.binary() | st.text() | st.none()))
)
def test_garbage_is_refused(records: Sequence[tuple[Any, Any]]) -> None:
    parser = DmsParser(column_prefix="B")
    for value, key in records:
        _only_typed_errors(parser, value, key)


@settings(max_examples=500)
@given(st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    parser = DmsParser()
    for sample in (*_SAMPLES, *_SAMPLES):
        content = bytearray(sample)
        for _ in range(data.draw(st.integers(0, 3))):
            position = data.draw(st.integers(0, len(content) - 1))
            content[position : position + data.draw(st.integers(0, 9))] = data.draw(
                st.binary(max_size=3) | st.sampled_from([b"e99", b"\\ud800", b'"', b"1" * 50])
            )
        _only_typed_errors(parser, bytes(content), data.draw(st.sampled_from([None, _KEY])))


@settings(max_examples=500)
@given(st.data())
def test_other_values_of_members_are_refused_or_read(data: st.DataObject) -> None:
    parser = DmsParser()
    for sample in (*_SAMPLES, *_SAMPLES):
        content = json.loads(sample)
        for _ in range(data.draw(st.integers(0, 2))):
            node = content
            while True:
                name = data.draw(st.sampled_from(sorted(node)))
                if not isinstance(node[name], dict) or not node[name] or data.draw(st.booleans()):
                    break
                node = node[name]
            node[name] = data.draw(_JUNK)
        _only_typed_errors(parser, json.dumps(content), data.draw(st.sampled_from([None, _KEY])))
