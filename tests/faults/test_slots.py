"""Slots that the server gives up, that somebody drops, moves or holds, or that cannot be made."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pytest

from pglogical_cdc import (
    AsyncReplicationReader,
    SlotGapError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    slots,
)
from pglogical_cdc.offsets import FileOffsets
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger, Load
from tests.faults.proxy import Proxy
from tests.faults.scene import is_free, make_slots, quiet_load
from tests.faults.servers import configure, execute
from tests.reading import active_pid, confirmed, wait_until

if TYPE_CHECKING:
    from tests.servers import Database, Server

_ROOT: Final = Path(__file__).parents[2]


# -- given up by the server


@pytest.mark.pg
@pytest.mark.fault(11)
def test_wal_removed(private_server: Server, tally: Callable[..., None]) -> None:
    def give_up(load: Load) -> None:
        configure(private_server, max_slot_wal_keep_size="1MB")
        for _ in range(3):
            load.run(1)
            execute(private_server, "SELECT pg_switch_wal()")
        execute(private_server, "CHECKPOINT")

    # Those that are being read are given up, too.
    _check_given_up(private_server, give_up, "wal_removed", ("cut_off", "silent"), tally)


@pytest.mark.pg(18)
@pytest.mark.fault(11)
def test_idle_timeout(private_server: Server, tally: Callable[..., None]) -> None:
    dsn = private_server.dsn()

    def give_up(load: Load) -> None:
        load.run(1)
        configure(private_server, idle_replication_slot_timeout="1s")
        wait_until(lambda: len(slots.idle_slots(dsn, older_than=1.1)) == len(slots.list(dsn)))
        execute(private_server, "CHECKPOINT")

    _check_given_up(private_server, give_up, "idle_timeout", ("cut_off",), tally)


def _check_given_up(
    server: Server,
    give_up: Callable[[Load], None],
    reason: str,
    states: tuple[str, ...],
    tally: Callable[..., None],
) -> None:
    """Have slots given up under readers of both kinds: stopped ones, and those in some states."""
    dsn = server.dsn()
    names = {f"{flavour}_{state}": (flavour, state) for flavour in FLAVOURS for state in states}
    ledgers = {name: Ledger() for name in names}
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(quiet_load(dsn, "stopped", *names))
        proxies = {state: stack.enter_context(Proxy(server.embedded.port)) for state in states}
        consumers = {
            name: stack.enter_context(
                Consumer(flavour, proxies[state].dsn(dsn), name, ledgers[name], create=True)
            )
            for name, (flavour, state) in names.items()
        }
        load.run(20)
        last = load.mark()
        before = load.expected()
        wait_until(lambda: all(ledger.saw(last) for ledger in ledgers.values()))
        for state, proxy in proxies.items():
            if state == "silent":
                proxy.black_hole()
            else:
                proxy.refuse()
                proxy.cut()
        wait_until(lambda: all(is_free(dsn, name) for name in names if "cut_off" in name))
        give_up(load)
        wait_until(lambda: all(slot.invalidated for slot in slots.list(dsn)))
        for state, proxy in proxies.items():
            if state == "silent":
                proxy.restore()
                proxy.cut()
            else:
                proxy.accept()
        errors = [consumer.failure(20) for consumer in consumers.values()]
        for flavour in FLAVOURS:
            with Consumer(flavour, dsn, "stopped", Ledger(), create=True) as stopped:
                errors.append(stopped.failure(20))
        for error in errors:
            assert isinstance(error, SlotInvalidatedError)
            assert not error.retryable
            assert reason in str(error)
        # None was made anew in its place, and everybody can see why.
        left = slots.list(dsn)
        assert {slot.name for slot in left} == {"stopped", *names}
        assert {slot.invalidation_reason for slot in left} == {reason}
        assert {slot.retained_bytes for slot in left} == {0}
        assert not any(slot.active for slot in left)
        verdicts = [ledger.verdict(before) for ledger in ledgers.values()]
    for verdict in verdicts:
        tally(f"slot given up by the server, {reason}", 1, verdict)


# -- dropped, replaced, moved by somebody

_Done = Literal["dropped", "replaced", "moved"]
_DONE: Final[tuple[_Done, ...]] = ("dropped", "replaced", "moved")


def _do(done: _Done, database: Database, slot: str) -> None:
    if done == "moved":
        slots.advance(database.dsn, slot, to="now")
    else:
        slots.drop(database.dsn, slot)
        if done == "replaced":
            make_slots(database.dsn, slot)


def _check_noticed(error: BaseException, done: _Done, database: Database, slot: str) -> None:
    assert type(error) is (SlotNotFoundError if done == "dropped" else SlotGapError)
    assert isinstance(error, (SlotNotFoundError, SlotGapError))
    assert (error.retryable, error.slot) == (False, slot)
    # With create=True, too, a slot is made only where nothing was read yet.
    assert (slots.get(database.dsn, slot) is None) is (done == "dropped")


@pytest.mark.pg
@pytest.mark.fault(12, 13)
@pytest.mark.parametrize("done", _DONE)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_taken_away_while_disconnected(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    done: _Done,
    tally: Callable[..., None],
) -> None:
    ledger = Ledger()
    with (
        quiet_load(database.dsn, slot_name) as load,
        Proxy(database.server.embedded.port) as proxy,
        Consumer(flavour, proxy.dsn(database.dsn), slot_name, ledger, create=True) as consumer,
    ):
        load.run(20)
        last = load.mark()
        before = load.expected()
        wait_until(lambda: ledger.saw(last))
        proxy.refuse()
        proxy.cut()
        wait_until(lambda: is_free(database.dsn, slot_name))
        load.run(5)
        _do(done, database, slot_name)
        load.run(5)
        proxy.accept()
        _check_noticed(consumer.failure(20), done, database, slot_name)
    tally(f"slot {done} while the reader was disconnected", 1, ledger.verdict(before))


@pytest.mark.pg
@pytest.mark.fault(12, 13)
@pytest.mark.parametrize("done", _DONE)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_taken_away_while_stopped(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    done: _Done,
    tmp_path: Path,
    tally: Callable[..., None],
) -> None:
    ledger, store = Ledger(), FileOffsets(tmp_path / "offset")
    with quiet_load(database.dsn, slot_name) as load:

        def consumer(**options: object) -> Consumer:
            return Consumer(flavour, database.dsn, slot_name, ledger, create=True, **options)

        load.run(20)
        with consumer(offsets=store) as first:
            first.finish(load.mark())
        before = load.expected()
        load.run(5)
        load.mark()
        gap = len(load.expected().commits)
        _do(done, database, slot_name)
        load.run(5)
        for _ in range(2):
            with consumer(offsets=store) as second:
                _check_noticed(second.failure(20), done, database, slot_name)
        tally(f"slot {done} while the reader was stopped", 1, ledger.verdict(before))

        # Who wants the gap gets it. Without a store nobody can know of it: a slot looks like any
        # other, and goes on where it is.
        after: list[int] = sorted(load.expected().commits)[gap:]
        if done != "dropped":
            for options in ({"offsets": store, "on_offset_mismatch": "trust_slot"}, {}):
                ledger = Ledger()
                with consumer(**options) as third:
                    after.append(load.mark())
                    third.finish(after[-1])
                expected = after if options else after[-1:]
                assert list(ledger.commits) == expected


# -- held by somebody


@pytest.mark.pg
@pytest.mark.fault(15)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_in_use(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    ledger, other = Ledger(), Ledger()
    with quiet_load(database.dsn, slot_name) as load:
        load.run(10)
        with Consumer(flavour, database.dsn, slot_name, ledger) as first:
            last = load.mark()
            wait_until(lambda: ledger.saw(last))
            began = time.monotonic()
            with Consumer(flavour, database.dsn, slot_name, other, reconnect=None) as second:
                error = second.failure(20)
            assert time.monotonic() - began < 2
            assert isinstance(error, SlotInUseError)
            assert error.retryable
            assert (error.sqlstate, error.slot) == ("55006", slot_name)
            assert f"PID {active_pid(database, slot_name)}" in str(error)
            # One that is free in time is waited for.
            load.run(10)
            leaving = threading.Timer(0.5, first.reader.stop)
            leaving.start()
            waiting = Consumer(flavour, database.dsn, slot_name, ledger)
            with waiting:
                leaving.join()
                ledger.begin_again()
                waiting.finish(load.mark())
        assert not other.events
        tally("slot in use", 2, ledger.verdict(load.expected()))


_RACER: Final = """
import asyncio, sys
from pglogical_cdc import AsyncReplicationReader, ReplicationReader, SlotInUseError
flavour, dsn, slot = sys.argv[1:]
given = dict(slot=slot, publications="pub", reconnect=None)

def blocking():
    with ReplicationReader(dsn, **given):
        print("won", flush=True)
        sys.stdin.readline()

async def waiting():
    async with AsyncReplicationReader(dsn, **given):
        print("won", flush=True)
        sys.stdin.readline()

print("ready", flush=True)
while sys.stdin.readline().strip() == "go":
    try:
        blocking() if flavour == "sync" else asyncio.run(waiting())
    except SlotInUseError as error:
        assert "PID" in str(error)
        print("lost", flush=True)
        sys.stdin.readline()
    print("ready", flush=True)
"""


@pytest.mark.pg
@pytest.mark.fault(15)
def test_race_of_two_processes(
    database: Database, slot_name: str, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name), contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _RACER, flavour, database.dsn, slot_name],
                    cwd=_ROOT,
                    text=True,
                    bufsize=1,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for flavour in FLAVOURS
        ]

        def heard(racer: subprocess.Popen[str]) -> str:
            assert racer.stdout is not None
            return racer.stdout.readline().strip()

        def say(word: str) -> None:
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"{word}\n")

        for _ in range(5):
            assert [heard(racer) for racer in racers] == ["ready", "ready"]
            say("go")
            assert sorted(heard(racer) for racer in racers) == ["lost", "won"]
            say("leave")
        assert [heard(racer) for racer in racers] == ["ready", "ready"]
        say("end")
    tally("two processes raced for a slot", 5)


@pytest.mark.pg
@pytest.mark.fault(3, 15)
def test_own_walsender_that_has_not_noticed(
    private_server: Server, tally: Callable[..., None]
) -> None:
    dsn = private_server.dsn()
    configure(private_server, wal_sender_timeout="1s")
    ledgers = {flavour: Ledger() for flavour in FLAVOURS}
    with (
        quiet_load(dsn, *FLAVOURS) as load,
        Proxy(private_server.embedded.port) as proxy,
        contextlib.ExitStack() as stack,
    ):
        consumers = [
            stack.enter_context(Consumer(flavour, proxy.dsn(dsn), flavour, ledgers[flavour]))
            for flavour in FLAVOURS
        ]
        load.run(10)
        last = load.mark()
        wait_until(lambda: all(ledger.saw(last) for ledger in ledgers.values()))
        # The readers give a silent server up after a second, the server gives them a minute.
        configure(private_server, wal_sender_timeout="60s")
        pids = {slot.active_pid for slot in slots.list(dsn)}
        assert len(pids - {None}) == 2
        began = time.monotonic()
        proxy.black_hole()
        proxy.restore()
        load.run(10)
        last = load.mark()
        wait_until(lambda: all(ledger.saw(last) for ledger in ledgers.values()))
        assert time.monotonic() - began < 4
        assert pids.isdisjoint(slot.active_pid for slot in slots.list(dsn))
        for consumer in consumers:
            consumer.finish(last)
            assert consumer.reader.stats.reconnects == 1
        truth = load.expected()
    for flavour, ledger in ledgers.items():
        tally(f"own walsender that still held the slot, {flavour}", 1, ledger.verdict(truth))


# -- not made in time

_MAKER: Final = """
import asyncio, sys
from pglogical_cdc import AsyncReplicationReader, ReplicationReader
flavour, dsn, slot = sys.argv[1:]
given = dict(slot=slot, publications="pub", create=True)
if flavour == "sync":
    ReplicationReader(dsn, **given).open()
else:
    asyncio.run(AsyncReplicationReader(dsn, **given).open())
"""


def _is_creating(database: Database) -> bool:
    return bool(
        database.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'active' AND query LIKE 'CREATE\\_REPLICATION\\_SLOT%'"
        )
    )


def _stop(database: Database, slot: str, flavour: Flavour) -> float:
    consumer = Consumer(flavour, database.dsn, slot, Ledger(), create=True)
    stopped: list[float] = []

    def stop() -> None:
        wait_until(lambda: _is_creating(database))
        stopped.append(time.monotonic())
        consumer.reader.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with consumer:
        stopping.join()
        wait_until(lambda: consumer.reader.ended)
    assert consumer.error is None
    return time.monotonic() - stopped[0]


def _cancel(database: Database, slot: str, flavour: Flavour) -> float:
    async def cancel() -> float:
        reader = AsyncReplicationReader(database.dsn, slot=slot, publications="pub", create=True)
        opening = asyncio.create_task(reader.open())
        await asyncio.to_thread(wait_until, lambda: _is_creating(database))
        began = time.monotonic()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await reader.close()
        return time.monotonic() - began

    return asyncio.run(cancel())


def _interrupt(database: Database, slot: str, flavour: Flavour) -> float:
    command = [sys.executable, "-c", _MAKER, flavour, database.dsn, slot]
    with subprocess.Popen(command, cwd=_ROOT, text=True, stderr=subprocess.PIPE) as process:
        wait_until(lambda: _is_creating(database) or process.poll() is not None)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert "KeyboardInterrupt" in errors
    return time.monotonic() - began - 0.5  # Python's own end


@pytest.mark.pg
@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("end", "flavour"),
    [
        *((_stop, flavour) for flavour in FLAVOURS),
        (_cancel, "async"),
        *((_interrupt, flavour) for flavour in FLAVOURS),
    ],
    ids=["stop-sync", "stop-async", "cancel-async", "interrupt-sync", "interrupt-async"],
)
def test_creation_held_up_by_an_open_transaction(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    end: Callable[[Database, str, Flavour], float],
    tally: Callable[..., None],
) -> None:
    ledger = Ledger()
    with quiet_load(database.dsn) as load:
        database.execute("CREATE TABLE t (id int)")
        holder = database.connect()
        holder.execute("BEGIN; INSERT INTO t VALUES (1)")
        # Else it takes until the transaction ends, which is below.
        assert end(database, slot_name, flavour) < 10
        wait_until(lambda: not _is_creating(database))
        assert slots.get(database.dsn, slot_name) is None
        holder.execute("COMMIT")
        # Nor is it made as soon as it can be.
        load.run(5)
        assert slots.get(database.dsn, slot_name) is None
        with Consumer(flavour, database.dsn, slot_name, ledger, create=True) as consumer:
            last = load.mark()
            consumer.finish(last)
        assert list(ledger.commits) == [last]
        assert confirmed(database, slot_name) > 0
    tally(f"slot creation held up, then {end.__name__.strip('_')}", 1)
