"""Tables and types that change, or are gone, when what was done to them is read."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pglogical_cdc import Change
from pglogical_cdc.events import RowChange
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.scene import Notes, make_slots, quiet_load
from tests.reading import wait_until

if TYPE_CHECKING:
    from tests.servers import Database

_State = Literal["stopped", "behind"]


class _Held(Notes):
    """Notes whose consumer waits at the first change until it is let go."""

    def __init__(self, is_load: Callable[[RowChange], bool] | None = None) -> None:
        super().__init__(is_load)
        self.waits = threading.Event()
        self.go_on = threading.Event()

    def apply(self, change: Change) -> None:
        self.waits.set()
        assert self.go_on.wait(60)
        super().apply(change)


@contextlib.contextmanager
def _consumer(
    state: _State, consumer: Consumer, notes: _Held, first: Callable[[], None]
) -> Iterator[Callable[[], None]]:
    """Run a consumer that reads nothing of what the block does before it calls what it is given.

    Args:
        state: whether it starts only then, or is held up after the first change.
        consumer: the consumer.
        notes: what it notes.
        first: makes a change.
    """
    with contextlib.ExitStack() as stack:
        if state == "behind":
            stack.callback(notes.go_on.set)
            stack.enter_context(consumer)
            first()
            assert notes.waits.wait(20)

        def go_on() -> None:
            notes.go_on.set()
            if state == "stopped":
                stack.enter_context(consumer)

        yield go_on


@pytest.mark.pg
@pytest.mark.fault(9)
@pytest.mark.parametrize("state", ["stopped", "behind"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_gone_before_its_changes_are_read(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    state: _State,
    tally: Callable[..., None],
) -> None:
    database.execute("CREATE TABLE ending (id int)")
    with quiet_load(database.dsn, slot_name) as load:
        # Of the second lives of the names nothing belongs to the load.
        notes = _Held(_is_first_life)
        database.execute("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES")
        database.execute("SELECT pg_drop_replication_slot(%s)", [slot_name])
        make_slots(database.dsn, slot_name)
        consumer = Consumer(flavour, database.dsn, slot_name, notes)
        with _consumer(state, consumer, notes, lambda: load.run(1)) as go_on:
            load.run(30)
            load.mark()
            before = load.expected()
            database.execute("ALTER TABLE load RENAME TO renamed")
            database.execute("ALTER TABLE renamed RENAME COLUMN v TO w")
            database.execute("INSERT INTO renamed VALUES (-1, 1, 'one')")
            database.execute("DROP TABLE renamed, load_commits")
            # The names go to other tables, with columns of the same names and other types.
            database.execute("CREATE TABLE load (v inet, id text PRIMARY KEY, extra int[])")
            database.execute("INSERT INTO load VALUES ('::1', 'x', '{1,2}')")
            database.execute("BEGIN; DROP TABLE load; CREATE TABLE load (id date); COMMIT")
            database.execute("INSERT INTO load VALUES ('2024-02-29'); DROP TABLE load")
            database.execute("INSERT INTO ending VALUES (1)")
            go_on()
            wait_until(
                lambda: bool(notes.rows_of("ending")) or consumer.error is not None, seconds=30
            )
            assert consumer.error is None, consumer.error
        assert notes.rows_of("renamed") == [("insert", {"id": -1, "n": 1, "w": "one"})]
        first, second = notes.rows_of("load")
        assert list(map(str, (first[1] or {}).values())) == ["::1", "x", "[1, 2]"]
        assert second[1] == {"id": datetime.date(2024, 2, 29)}
        tally(f"tables dropped, renamed, replaced; reader {state}", 4, notes.verdict(before))


def _is_first_life(change: RowChange) -> bool:
    names = [column.name for column in change.relation.columns]
    return names in (["id", "n", "v"], ["number", "changes"])


_TYPES: Final = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[]);
"""


@pytest.mark.pg
@pytest.mark.fault(10)
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_altered_in_the_middle(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    binary: bool,
    tally: Callable[..., None],
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute(_TYPES + "ALTER PUBLICATION pub ADD TABLE t")
        notes, expected = Notes(), list[dict[str, Any]]()

        def insert(values: str, **row: object) -> None:
            load.run(1)
            database.execute(f"INSERT INTO t VALUES ({values})")
            load.run(1)
            expected.append(row)

        with Consumer(flavour, database.dsn, slot_name, notes, binary=binary) as consumer:
            insert("1, 'ok', '{sad}'", id=1, m="ok", ms=["sad"])
            notes.wait_for(1)
            database.execute("ALTER TYPE mood ADD VALUE 'great' BEFORE 'sad'")
            insert("2, 'great', '{great,NULL}'", id=2, m="great", ms=["great", None])
            database.execute("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
            insert("3, 'fine', NULL", id=3, m="fine", ms=None)
            database.execute("ALTER TABLE t ADD c numeric NOT NULL DEFAULT 7, DROP ms")
            insert("4, 'sad', 1.50", id=4, m="sad", c="1.50")
            # A rewrite of the table brings no changes.
            database.execute(
                "ALTER TABLE t ALTER c DROP DEFAULT, ALTER c TYPE date USING '2024-01-01'"
            )
            insert("5, 'sad', '2025-05-05'", id=5, m="sad", c="2025-05-05")
            database.execute("ALTER TABLE t ALTER id TYPE bigint, ADD d int")
            big = 6_000_000_000
            insert(f"{big}, 'sad', '2025-05-06', 1", id=big, m="sad", c="2025-05-06", d=1)
            # In the same transaction, before and after.
            database.execute(
                "BEGIN; INSERT INTO t VALUES (7, 'sad', '2025-05-07', 1); ALTER TABLE t DROP c;"
                "INSERT INTO t VALUES (8, 'sad', 2); ALTER TABLE t RENAME d TO e;"
                "SAVEPOINT s; ALTER TABLE t ADD f text; INSERT INTO t VALUES (9, 'sad', 3, 'f');"
                "ROLLBACK TO s; INSERT INTO t VALUES (10, 'sad', 4); COMMIT"
            )
            expected += [
                {"id": 7, "m": "sad", "c": "2025-05-07", "d": 1},
                {"id": 8, "m": "sad", "d": 2},
                {"id": 10, "m": "sad", "e": 4},
            ]
            # Types that the reader has never heard of.
            database.execute(
                "CREATE TYPE pair AS (a int, b mood); CREATE DOMAIN positive AS int;"
                "CREATE TYPE span AS RANGE (subtype = int);"
                "ALTER TABLE t ADD p pair, ADD q positive, ADD s span, ADD ps pair[]"
            )
            insert(
                "11, 'sad', 1, '(1,fine)', 2, '[1,3)', '{\"(2,great)\"}'",
                **{"id": 11, "m": "sad", "e": 1, "p": "(1, 'fine')", "q": 2, "s": "[1, 3)"},
                ps="[(2, 'great')]",
            )
            load.run(1)
            consumer.finish(load.mark())
        rows = [change.after for change in notes.inserts()]
        assert len(rows) == len(expected)
        for row, wanted in zip(rows, expected, strict=True):
            assert list(row) == list(wanted)
            for name, value in row.items():
                plain = (
                    value if isinstance(wanted[name], (int, list, type(None))) else _shown(value)
                )
                assert plain == wanted[name], name
        tally("tables and types altered under a reader", 9, notes.verdict(load.expected()))


def _shown(value: object) -> str:
    """The plain values in what psycopg makes of types that are not built in."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(tuple(value)) if isinstance(value, tuple) else str(value)


@pytest.mark.pg
@pytest.mark.fault(10)
@pytest.mark.parametrize("state", ["stopped", "behind"])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_types_gone_before_their_values_are_read(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    binary: bool,
    state: _State,
    tally: Callable[..., None],
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute(_TYPES + "ALTER PUBLICATION pub ADD TABLE t")
        notes = _Held()
        consumer = Consumer(flavour, database.dsn, slot_name, notes, binary=binary)
        with _consumer(state, consumer, notes, lambda: load.run(1)) as go_on:
            database.execute(
                "CREATE TYPE pair AS (a int, b mood); CREATE DOMAIN name AS mood;"
                "CREATE TYPE span AS RANGE (subtype = float8);"
                "CREATE TABLE u (id int PRIMARY KEY, p pair, n public.name, s span, ms mood[]);"
                "ALTER PUBLICATION pub ADD TABLE u;"
                "INSERT INTO t VALUES (1, 'ok', '{sad}');"
                "INSERT INTO u VALUES (1, '(1,ok)', 'sad', '[1,2)', '{ok}')"
            )
            load.run(10)
            # The columns stay, their types go.
            database.execute(
                "ALTER TABLE t ALTER m TYPE text, DROP ms; ALTER TABLE u ALTER p TYPE text,"
                " ALTER n TYPE text, ALTER s TYPE text, ALTER ms TYPE text;"
                "DROP TYPE pair, span; DROP DOMAIN public.name; DROP TYPE mood"
            )
            # The name, and on a bad day the OID, goes to another type.
            database.execute("CREATE TYPE mood AS (a int); ALTER TABLE t ADD m2 mood")
            database.execute("INSERT INTO t VALUES (2, 'new', '(5)')")
            load.run(10)
            last = load.mark()
            go_on()
            consumer.finish(last)
        old, other, new = notes.inserts()
        assert dict(new.after)["m"] == "new"
        assert _text(new.after["m2"]) in ("(5,)", "(5)")
        assert dict(old.after)["id"] == dict(other.after)["id"] == 1
        # Values of a type that nobody can describe any more are what the server sent.
        assert _text(old.after["m"]) == "ok"
        assert _text(other.after["n"]) == "sad"
        unknown = [old.after["ms"], *(other.after[name] for name in ("p", "s", "ms"))]
        if binary:
            assert [type(value) for value in unknown] == [bytes] * 4
        else:
            assert unknown == ["{sad}", "(1,ok)", "[1,2)", "{ok}"]
        tally(
            f"types dropped before their values were read, reader {state}",
            4,
            notes.verdict(load.expected()),
        )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else _shown(value)
