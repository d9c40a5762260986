from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Change,
    Delete,
    Insert,
    LogicalMessage,
    Relation,
    ReplicaIdentity,
    Row,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Truncate,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Tombstones
from pglogical_cdc.transforms import (
    ColumnTransform,
    ExcludeColumns,
    HashColumns,
    IncludeColumns,
    MaskColumns,
    TruncateColumns,
)
from tests.formatters.tables import column, relation
from tests.transforms.tables import (
    TRANSACTION,
    USERS,
    applied,
    changes,
    insert,
    row,
    value_of,
)

ALL: Sequence[ColumnTransform] = (
    ExcludeColumns("public.users.secret"),
    IncludeColumns("public.users.(id|name)"),
    MaskColumns("public.users.secret", chars=3),
    HashColumns("public.users.secret", algorithm="SHA-256", salt="s"),
    TruncateColumns("public.users.secret", chars=2),
)


# -- every transform


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
class TestEvery:
    def test_rows_of_every_kind_of_change(self, transform: ColumnTransform) -> None:
        for change in changes():
            made = applied(transform, change)
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
        change = insert(b"1", b"Ann", b"hidden")
        transform(change)
        assert change.relation is USERS
        assert change.after.raw == (b"1", b"Ann", b"hidden")
        assert USERS.base is None

    def test_the_marker_of_a_snapshot_stays(self, transform: ColumnTransform) -> None:
        made = applied(transform, changes()[-1])
        assert isinstance(made, SnapshotRead)
        assert made.snapshot == "last"

    def test_truncates(self, transform: ColumnTransform) -> None:
        change = Truncate(900, TRANSACTION, 1, USERS, cascade=True, restart_identity=False)
        made = applied(transform, change)
        assert isinstance(made, Truncate)
        assert (made.cascade, made.restart_identity) == (True, False)
        assert made.relation is applied(transform, changes()[0]).relation

    def test_messages_pass(self, transform: ColumnTransform) -> None:
        message = LogicalMessage(900, TRANSACTION, 1, "public.users.secret", b"hidden", "shop")
        assert transform(message) is message

    def test_one_version_stays_one_version(self, transform: ColumnTransform) -> None:
        made = [applied(transform, change).relation for change in changes()]
        assert all(each is made[0] for each in made)
        assert made[0] is not USERS
        assert made[0].base is USERS
        # Another version of the table gives another.
        later = attrs.evolve(USERS)
        assert applied(transform, changes(later)[0]).relation is not made[0]

    def test_other_tables_do_not_get_in_between(self, transform: ColumnTransform) -> None:
        other = attrs.evolve(USERS, oid=2)
        first = applied(transform, changes()[0]).relation
        assert applied(transform, changes(other)[0]).relation is not first
        assert applied(transform, changes()[0]).relation is first

    def test_transforms_in_a_row_keep_the_servers_row(self, transform: ColumnTransform) -> None:
        further = MaskColumns("public.users.name", chars=1)
        for change in changes():
            made = applied(further, applied(transform, change))
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
            made = applied(transform, insert(b"hidden", table=table))
            if isinstance(transform, IncludeColumns):
                assert made.relation.columns == ()
            else:
                assert made.after is not None
                assert made.after.raw == (b"hidden",)
        loud = relation(column("ID", "int4"), column("SECRET"), schema="PUBLIC", name="Users")
        made = applied(transform, insert(b"1", b"hidden", table=loud))
        assert made.after is not None
        assert made.after.raw[0] == b"1"
        assert made.after.raw[1:] != [b"hidden"]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
class TestSchemaChanges:
    BEFORE = relation(column("id", "int4"), column("secret"), name="users", primary_key=["id"])

    def _change(self, later: Relation) -> SchemaChange:
        return SchemaChange(900, TRANSACTION, 1, later, self.BEFORE)

    def test_both_versions_are_those_of_the_rows(self, transform: ColumnTransform) -> None:
        rows_before = applied(transform, insert(b"1", b"hidden", table=self.BEFORE))
        change = applied(transform, self._change(USERS))
        rows_after = applied(transform, insert(b"1", b"Ann", b"hidden"))
        assert isinstance(change, SchemaChange)
        assert change.previous is rows_before.relation
        assert change.relation is rows_after.relation
        assert list(change.added) == ["name"]
        assert list(change.dropped) == []

    def test_a_version_that_is_left_alone_beside_one_that_is_not(
        self, transform: ColumnTransform
    ) -> None:
        without = relation(column("id", "int4"), name="users", primary_key=["id"])
        change = applied(transform, self._change(without))
        assert isinstance(change, SchemaChange)
        assert change.relation is without
        assert change.previous.base is self.BEFORE
        hides = isinstance(transform, (ExcludeColumns, IncludeColumns))
        assert list(change.dropped) == ([] if hides else ["secret"])

    def test_two_versions_that_are_left_alone(self, transform: ColumnTransform) -> None:
        one, other = (relation(column("id", "int4"), name="users") for _ in "12")
        change = SchemaChange(900, TRANSACTION, 1, one, other)
        assert transform(change) is change


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
        cuts = [TruncateColumns(".*id", chars=chars) for chars in (2, 7)]
        twice = self._after(*cuts).relation.columns[0].alteration
        assert twice is not None
        assert (twice.alter, twice.max_length) == (None, 2)
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
        old, new = (row(each, b"Ann", b"x", table=TEXT_KEY) for each in (b"key 1", b"key 2"))
        key = row(b"key 1", NOT_SENT, NOT_SENT, table=TEXT_KEY)
        changes = [
            Insert(900, TRANSACTION, 1, TEXT_KEY, old),
            Update(910, TRANSACTION, 2, TEXT_KEY, key, new),
            Delete(920, TRANSACTION, 3, TEXT_KEY, key),
        ]
        return [applied(transform, change) for change in changes]

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
        (insert, _update, update, by_key, *_rest) = changes()
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
            after = self._before_and_after(mask, insert(b"1", b"Ann", value))[1]
            assert after == {"id": 1, "name": "Ann", "secret": "***"}
        gone = Delete(900, TRANSACTION, 1, USERS, row(b"1", NOT_SENT, NOT_SENT))
        before = self._before_and_after(mask, gone)[0]
        assert before == {"id": 1, "name": None, "secret": "***"}

    def test_cut_rows(self) -> None:
        cut = TruncateColumns("public.users.secret", chars=2)
        for value, expected in ((b"hidden", "hi"), (None, None), (UNCHANGED, "__")):
            after = self._before_and_after(cut, insert(b"1", b"Ann", value))[1]
            assert after == {"id": 1, "name": "Ann", "secret": expected}

    def test_hashed_rows(self) -> None:
        hashed = HashColumns("public.users.secret", algorithm="MD5", salt="salty")
        for value, expected in ((b"a", "90fc3ee952"), (None, None)):
            after = self._before_and_after(hashed, insert(b"1", b"Ann", value))[1]
            assert (after["secret"] or "")[:10] == (expected or "")
        # The placeholder of a value that was not sent is hashed like one.
        after = self._before_and_after(hashed, insert(b"1", b"Ann", UNCHANGED))[1]
        placeholder = b"__debezium_unavailable_value"
        assert after["secret"].encode() == value_of(
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
            (record,) = formatter.format(transform(insert(b"1", b"Ann", b"x")))
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
        old, new = (row(b"1", b"Ann", each, table=full) for each in (b"old", b"new"))
        change = Update(900, TRANSACTION, 1, full, old, new)
        formatter = _debezium(skip_messages_without_change=True)
        assert len(formatter.format(change)) == 1
        assert formatter.format(ExcludeColumns("public.users.secret")(change)) == ()
