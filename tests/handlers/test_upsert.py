from __future__ import annotations

from collections.abc import Mapping

import pytest

from pglogical_cdc import UNCHANGED
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Change, Insert, ReplicaIdentity, RowChange, Tombstone
from pglogical_cdc.handlers import Upsert, UpsertHandler, key_of, upsert_of
from pglogical_cdc.transforms import ExcludeColumns
from tests.formatters.tables import column, relation
from tests.handlers.changes import PEOPLE, delete, insert, loaded, read, table, truncate, update

COLUMNS = (column("id", "int4"), column("name"), column("big"))
WHOLE = table(*COLUMNS, identity=ReplicaIdentity.FULL)
PAIRS = table(column("a", "int4"), column("b"), column("v"), key=("b", "a"))


@pytest.mark.parametrize("make", [insert, read, update])
def test_a_whole_row(make: type) -> None:
    upsert = upsert_of(make(PEOPLE, "1", None, "x"))
    assert upsert.key == {"id": 1}
    assert upsert.values == {"id": 1, "name": None, "big": "x"}
    assert upsert.complete
    assert upsert.forget is None


def test_a_row_with_a_value_that_was_not_sent() -> None:
    upsert = upsert_of(update(PEOPLE, "1", "a", UNCHANGED))
    assert upsert.values == {"id": 1, "name": "a"}
    assert not upsert.complete
    assert upsert.row.missing == ("big",)


def test_the_whole_old_row_has_what_was_not_sent_again() -> None:
    upsert = upsert_of(update(WHOLE, "1", "a", UNCHANGED, before=("1", "b", "old")))
    assert upsert.values == {"id": 1, "name": "a", "big": "old"}
    assert upsert.complete
    assert upsert.forget is None


def test_the_image_of_an_old_key_has_not() -> None:
    upsert = upsert_of(update(PEOPLE, "2", "a", UNCHANGED, before=("1", NOT_SENT, NOT_SENT)))
    assert upsert.values == {"id": 2, "name": "a"}
    assert upsert.row["big"] is UNCHANGED


def test_a_change_of_the_key() -> None:
    upsert = upsert_of(update(PEOPLE, "2", "a", "b", before=("1", NOT_SENT, NOT_SENT)))
    assert (upsert.key, upsert.forget) == ({"id": 2}, {"id": 1})
    upsert = upsert_of(update(PAIRS, "2", "x", "v", before=("1", "x", NOT_SENT)))
    assert list(upsert.key.items()) == [("b", "x"), ("a", 2)]
    assert upsert.forget is not None
    assert list(upsert.forget.items()) == [("b", "x"), ("a", 1)]


def test_an_old_row_with_the_same_key() -> None:
    upsert = upsert_of(update(WHOLE, "1", "a", "b", before=("1", "c", "d")))
    assert upsert.forget is None


def test_a_part_of_the_key_that_was_not_sent_again() -> None:
    upsert = upsert_of(update(PAIRS, "2", UNCHANGED, "v", before=("1", "x", NOT_SENT)))
    assert (upsert.key, upsert.forget) == ({"b": "x", "a": 2}, {"b": "x", "a": 1})
    assert upsert.complete
    assert key_of(update(PAIRS, "2", UNCHANGED, "v", before=("1", "x", NOT_SENT))) == upsert.key


def test_the_key_is_of_the_row_that_the_server_sent() -> None:
    change = ExcludeColumns("public.t.id")(insert(PEOPLE, "1", "a", "b"))
    assert isinstance(change, Insert)
    upsert = upsert_of(change)
    assert upsert.key == {"id": 1}
    assert upsert.values == {"name": "a", "big": "b"}


KEYLESS = table(*COLUMNS, key=(), identity=ReplicaIdentity.FULL)
ELSEWHERE = loaded(
    relation(
        column("id", "int4"),
        column("name", identity=True),
        column("big"),
        primary_key=("id",),
        identity=ReplicaIdentity.INDEX,
    )
)


@pytest.mark.parametrize(
    "change",
    [
        insert(KEYLESS, "1", "a", "secret"),
        update(KEYLESS, "1", "a", "secret", before=("1", "b", "secret")),
    ],
)
def test_a_table_without_a_key_is_refused(change: RowChange) -> None:
    with pytest.raises(ConfigurationError, match=r"a row of public\.t: give it a primary") as error:
        upsert_of(change)  # type: ignore[arg-type]
    assert "secret" not in str(error.value)
    with pytest.raises(ConfigurationError, match=r"nothing identifies"):
        key_of(delete(KEYLESS, "1", "a", "secret"))


def test_a_key_outside_the_replica_identity_is_refused() -> None:
    # An update of `id` alone would look like this, and the row of the old `id` would stay.
    with pytest.raises(ConfigurationError, match=r"ALTER TABLE public\.t REPLICA IDENTITY DEFAULT"):
        upsert_of(update(ELSEWHERE, "2", "a", "b"))
    with pytest.raises(ConfigurationError, match="the whole key of old rows"):
        upsert_of(update(ELSEWHERE, "2", "a", "b", before=(NOT_SENT, "c", NOT_SENT)))
    with pytest.raises(ConfigurationError, match="the whole key of old rows"):
        key_of(delete(ELSEWHERE, NOT_SENT, "a", NOT_SENT))
    assert upsert_of(insert(ELSEWHERE, "2", "a", "b")).key == {"id": 2}


def test_no_value_is_in_a_repr() -> None:
    upsert = upsert_of(insert(PEOPLE, "77", "secret", "b"))
    assert repr(upsert) == "<Upsert of <Row of public.t: id, name, big>>"


class Kept(UpsertHandler):
    """The example of the docstring."""

    def __init__(self) -> None:
        self.rows: dict[tuple[object, ...], dict[str, object]] = {}

    def upsert(self, change: RowChange, upsert: Upsert) -> None:
        kept = {}
        if upsert.forget is not None:
            kept = self.rows.pop((change.schema, change.table, *upsert.forget.values()), {})
        identity = (change.schema, change.table, *upsert.key.values())
        self.rows[identity] = {**kept, **self.rows.get(identity, {}), **upsert.values}

    def remove(self, schema: str, table: str, key: Mapping[str, object]) -> None:
        self.rows.pop((schema, table, *key.values()), None)

    def clear(self, schema: str, table: str) -> None:
        self.rows = {key: row for key, row in self.rows.items() if key[:2] != (schema, table)}


def kept(*events: Change | Tombstone) -> dict[tuple[object, ...], dict[str, object]]:
    handler = Kept()
    for event in events:
        handler.handle(event)
    return handler.rows


def test_rows_are_written_and_removed() -> None:
    assert kept(
        read(PEOPLE, "1", "a", "b"),
        insert(PEOPLE, "2", "c", "d"),
        insert(PEOPLE, "3", "e", "f"),
        update(PEOPLE, "4", "g", UNCHANGED, before=("2", NOT_SENT, NOT_SENT)),
        delete(PEOPLE, "1", NOT_SENT, NOT_SENT),
        update(PEOPLE, "3", None, UNCHANGED),
    ) == {
        ("public", "t", 4): {"id": 4, "name": "g", "big": "d"},
        ("public", "t", 3): {"id": 3, "name": None, "big": "f"},
    }


def test_a_table_is_cleared() -> None:
    other = table(*COLUMNS, name="other")
    rows = kept(insert(PEOPLE, "1", "a", "b"), insert(other, "1", "c", "d"), truncate(PEOPLE))
    assert list(rows) == [("public", "other", 1)]


def test_a_tombstone_tells_the_old_key() -> None:
    # As DMS without a before-image: the update does not.
    rows = kept(
        insert(PEOPLE, "1", "a", "b"),
        update(PEOPLE, "2", "a", "b"),
        Tombstone({"id": 1}, "public", "t"),
        insert(PEOPLE, "1", "c", "d"),
    )
    assert {key[2]: row["name"] for key, row in rows.items()} == {2: "a", 1: "c"}


@pytest.mark.parametrize(
    "tombstone", [Tombstone({"id": 1}), Tombstone(None, "public", "t"), Tombstone(None)]
)
def test_a_tombstone_of_no_table_or_key_is_left_alone(tombstone: Tombstone) -> None:
    assert len(kept(insert(PEOPLE, "1", "a", "b"), tombstone)) == 1


def test_a_key_that_goes_and_comes_again() -> None:
    # As Debezium tells that row 1 became row 2, and a new row 1 came.
    rows = kept(
        insert(PEOPLE, "1", "a", "b"),
        delete(PEOPLE, "1", NOT_SENT, NOT_SENT),
        Tombstone({"id": 1}),
        insert(PEOPLE, "2", "a", "b"),
        insert(PEOPLE, "1", "c", "d"),
    )
    assert {key[2]: row["name"] for key, row in rows.items()} == {2: "a", 1: "c"}
