"""Failover: a primary is lost, and a standby takes over under the readers."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from pglogical_cdc import (
    LSN,
    Change,
    FileOffsets,
    ReaderEvent,
    ReplicationReader,
    SlotGapError,
    SlotInvalidatedError,
    SlotNotFoundError,
    TimelineDivergedError,
    slots,
)
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.faults.servers import Cluster, configure
from tests.reading import wait_until

_WRITABLE: Final = {"target_session_attrs": "read-write"}


class _Ledger(Ledger):
    """A ledger that knows where its reader began."""

    def __init__(self, *, table: str = "load") -> None:
        super().__init__(table=table)
        self.first: LSN | None = None
        """Commit of the first change since `begin_again`."""

    def begin_again(self) -> None:
        super().begin_again()
        self.first = None

    def apply(self, change: Change) -> None:
        if self.first is None:
            self.first = change.position.commit_lsn
        super().apply(change)


def _first(consumer: Consumer) -> LSN:
    """Wait for the first change of a process, and give its commit."""
    ledger = consumer.ledger
    assert isinstance(ledger, _Ledger)
    wait_until(lambda: ledger.first is not None or consumer.error is not None)
    assert consumer.error is None, consumer.error
    assert ledger.first is not None
    return ledger.first


def _stored(path: Path) -> LSN:
    """Give the end of what a file says that has been dealt with."""
    offset = FileOffsets(path).load(path.name)
    assert offset is not None
    return offset.transaction_end


def _position(cluster: Cluster) -> LSN:
    ((lsn,),) = cluster.execute("SELECT pg_current_wal_flush_lsn()::text")
    return LSN.parse(lsn)


def _confirmed(cluster: Cluster, slot: str) -> LSN:
    ((lsn,),) = cluster.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return LSN.parse(lsn)


@pytest.mark.pg(17)
@pytest.mark.versions(18)
@pytest.mark.fault(16)
def test_a_synced_slot_goes_on(
    cluster: Cluster, tmp_path: Path, tally: Callable[..., None]
) -> None:
    primary, standby = cluster.primary, cluster.standby
    create_tables(primary.dsn(), publication="pub")
    configure(primary, synchronized_standby_slots=standby.name)
    standby.configure(sync_replication_slots="on")
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(primary.embedded.port))
        load = stack.enter_context(contextlib.closing(Load(cluster.dsn(**_WRITABLE), rate=60)))
        moved = proxy.dsn(primary.dsn())

        def consume(flavour: Flavour, dsn: str, slot: str, **options: Any) -> Consumer:
            return stack.enter_context(Consumer(flavour, dsn, slot, _Ledger(), **options))

        kept: dict[str, Consumer] = {}
        ended: list[tuple[Flavour, Path, Consumer]] = []
        for flavour in FLAVOURS:
            new: dict[str, Any] = {"create": True, "failover": True}
            kept[f"several hosts, {flavour}"] = consume(
                flavour, cluster.dsn(), f"hosts_{flavour}", **new
            )
            kept[f"an address that moves, {flavour}"] = consume(
                flavour, moved, f"moved_{flavour}", **new
            )
            path = tmp_path / f"stored_{flavour}"
            reading = consume(flavour, cluster.dsn(), path.name, offsets=FileOffsets(path), **new)
            ended.append((flavour, path, reading))
        load.start()
        load.wait_for(10)
        for consumer in (*kept.values(), *(consumer for _, _, consumer in ended)):
            assert consumer.error is None
            standby.wait_for_slot(consumer.reader._source.settings.slot)

        for _, _, consumer in ended:
            before = consumer.ledger.events
            wait_until(lambda c=consumer, n=before: c.ledger.events > n)  # type: ignore[misc]
            consumer.reader.stop()
        load.wait_for(10)
        primary.embedded.stop("immediate")
        # An address may move before the server behind it has taken over.
        proxy.move("127.0.0.1", standby.server.embedded.port)
        time.sleep(0.3)
        standby.promote()
        load.wait_for(20)
        for flavour, path, before_it in ended:
            before_it.ledger.begin_again()
            again = Consumer(
                flavour, cluster.dsn(), path.name, before_it.ledger, offsets=FileOffsets(path)
            )
            end = _stored(path)
            kept[f"a store and a new process, {flavour}"] = stack.enter_context(again)
            assert _first(again) >= end > LSN(0)
        last = load.stop()
        truth = load.expected()
        for way, consumer in kept.items():
            consumer.finish(last)
            tally(f"failover to a synced slot, {way}", 1, consumer.ledger.verdict(truth))


@pytest.mark.pg(17)
@pytest.mark.versions(18)
@pytest.mark.fault(16, 17)
def test_a_standby_was_behind(cluster: Cluster, tmp_path: Path, tally: Callable[..., None]) -> None:
    primary, standby = cluster.primary, cluster.standby
    create_tables(primary.dsn(), publication="pub")
    create_tables(primary.dsn(), "quiet", publication="quiet_pub")
    kinds = ("raise", "trust", "stored", "quiet", "quiet_stored")
    names = [f"{kind}_{flavour}" for kind in kinds for flavour in FLAVOURS]
    for name in names:
        cluster.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', failover => true)", [name]
        )
    for name in names:
        standby.wait_for_slot(name, advance=True)

    consumers: dict[str, Consumer] = {}
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(contextlib.closing(Load(cluster.dsn(**_WRITABLE))))
        quiet = stack.enter_context(
            contextlib.closing(Load(cluster.dsn(**_WRITABLE), table="quiet"))
        )

        def started_over(name: str) -> Callable[[ReaderEvent], None]:
            def see(event: ReaderEvent) -> None:
                if event.state == "retrying":
                    consumers[name].ledger = Ledger()

            return see

        for flavour in FLAVOURS:
            for kind in kinds:
                name = f"{kind}_{flavour}"
                options: dict[str, Any] = {}
                if kind.endswith("stored"):
                    options["offsets"] = FileOffsets(tmp_path / name)
                if kind == "trust":
                    options |= {
                        "on_offset_mismatch": "trust_slot",
                        "on_event": started_over(name),
                    }
                table = "load"
                if kind.startswith("quiet"):
                    options["publications"] = "quiet_pub"
                    table = "quiet"
                consumers[name] = stack.enter_context(
                    Consumer(flavour, cluster.dsn(), name, Ledger(table=table), **options)
                )

        load.run(5)
        quiet.run(5)
        standby.wait_for_replay()
        standby.cut_off()
        switch = standby.replayed
        load.run(40)
        last = load.mark()
        end = _position(cluster)
        for name, consumer in consumers.items():
            if name.startswith("quiet"):
                # Only the positions of keepalives get there.
                wait_until(lambda n=name: _confirmed(cluster, n) >= end)  # type: ignore[misc]
            else:
                wait_until(lambda c=consumer: c.ledger.saw(last))  # type: ignore[misc]
            assert consumer.error is None
        for flavour in FLAVOURS:
            name = f"stored_{flavour}"
            consumers[name].reader.stop()
            consumers[name]._thread.join(20)
            assert _stored(tmp_path / name) > switch
        cluster.fail_over()

        said = re.compile(r"timeline 1 ended at (\S+), but .* up to (\S+): those from \1 to \2 ")
        for flavour in FLAVOURS:
            again = Consumer(
                flavour,
                cluster.dsn(),
                f"stored_{flavour}",
                Ledger(),
                offsets=FileOffsets(tmp_path / f"stored_{flavour}"),
            )
            with again:
                for consumer in (consumers[f"raise_{flavour}"], again):
                    error = consumer.failure()
                    assert isinstance(error, TimelineDivergedError)
                    found = said.match(str(error))
                    assert found is not None, error
                    assert LSN.parse(found[1]) == switch < LSN.parse(found[2]) <= end
        tally("failover to a standby that was behind: said, and nothing read", 2 * len(FLAVOURS))

        load.run(10)
        # Less than the old primary wrote after the switch: what was stored of it is no more.
        quiet.run(1)
        for flavour in FLAVOURS:
            trusting = consumers[f"trust_{flavour}"]
            trusting.finish(load.mark())
            tally(
                f"failover to a standby that was behind, trust_slot, {flavour}",
                1,
                trusting.ledger.verdict(load.expected()),
            )
        quiet_last = quiet.mark()
        for flavour in FLAVOURS:
            for kind in ("quiet", "quiet_stored"):
                name = f"{kind}_{flavour}"
                consumers[name].finish(quiet_last)
                tally(
                    f"failover of an idle reader, {name}",
                    1,
                    consumers[name].ledger.verdict(quiet.expected()),
                )
            offset = FileOffsets(tmp_path / name).load(name)
            assert offset is not None
            assert (offset.timeline, offset.position < end) == (2, True)
            ((confirmed,),) = standby.execute(
                "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
                [name],
            )
            assert LSN.parse(confirmed) <= offset.position
            with ReplicationReader(
                cluster.dsn(),
                slot=name,
                publications="quiet_pub",
                offsets=FileOffsets(tmp_path / name),
                until="now",
            ) as reader:
                assert list(reader) == []


@pytest.mark.pg
@pytest.mark.fault(16, 17)
def test_a_slot_that_no_standby_has(
    cluster: Cluster, tmp_path: Path, tally: Callable[..., None]
) -> None:
    standby = cluster.standby
    create_tables(cluster.primary.dsn(), publication="pub")
    consumers: list[tuple[Flavour, Path, Consumer]] = []
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(contextlib.closing(Load(cluster.dsn(**_WRITABLE))))
        for flavour in FLAVOURS:
            path = tmp_path / f"unsynced_{flavour}"
            consumer = Consumer(
                flavour,
                cluster.dsn(),
                path.name,
                Ledger(),
                create=True,
                offsets=FileOffsets(path),
            )
            consumers.append((flavour, path, stack.enter_context(consumer)))
        load.run(10)
        last = load.mark()
        for _, _, consumer in consumers:
            wait_until(lambda c=consumer: c.ledger.saw(last))  # type: ignore[misc]
        standby.wait_for_replay()
        cluster.fail_over()
        load.run(10)
        for flavour, path, consumer in consumers:
            assert isinstance(consumer.failure(), SlotNotFoundError)
            # It makes no new one, from which what was written meanwhile would be missing.
            slots.create(cluster.dsn(), path.name)
            load.run(1)
            again = Consumer(
                flavour, cluster.dsn(), path.name, Ledger(), create=True, offsets=FileOffsets(path)
            )
            with again:
                assert isinstance(again.failure(), SlotGapError)
    tally("failover without the slot, or to a new one: said", 2 * len(FLAVOURS))


@contextlib.contextmanager
def _snapshots(cluster: Cluster) -> Iterator[None]:
    """Have the primary log what a standby needs to make slots."""
    done = threading.Event()

    def log() -> None:
        with psycopg.connect(cluster.primary.dsn(), autocommit=True) as connection:
            while not done.wait(0.1):
                connection.execute("SELECT pg_log_standby_snapshot()")

    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.pg(16)
@pytest.mark.versions(18)
@pytest.mark.fault(18)
def test_decoding_on_a_standby_that_is_promoted(
    cluster: Cluster, tmp_path: Path, tally: Callable[..., None]
) -> None:
    standby = cluster.standby
    create_tables(cluster.primary.dsn(), publication="pub")
    standby.wait_for_replay()
    ways = {
        "any": standby.dsn(target_session_attrs="any"),
        "prefer_standby": cluster.dsn(target_session_attrs="prefer-standby"),
    }
    names = [f"{way}_{flavour}" for way in ways for flavour in FLAVOURS]
    with _snapshots(cluster):
        for name in names:
            slots.create(standby.dsn(), name)
    consumers: dict[str, Consumer] = {}
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load(cluster.dsn(**_WRITABLE), rate=60))

        def consume(way: str, flavour: Flavour, ledger: Ledger) -> Consumer:
            name = f"{way}_{flavour}"
            offsets = FileOffsets(tmp_path / name)
            made = Consumer(flavour, ways[way], name, ledger, offsets=offsets)
            return stack.enter_context(made)

        def wait_for(arrived: Callable[[Consumer], bool]) -> None:
            for consumer in consumers.values():
                wait_until(lambda c=consumer: arrived(c) or c.error is not None)  # type: ignore[misc]
                assert consumer.error is None, consumer.error

        for way in ways:
            for flavour in FLAVOURS:
                consumers[f"{way}_{flavour}"] = consume(way, flavour, Ledger())
            load.wait_for(20)
            wait_for(lambda consumer: consumer.ledger.events > 20)
            if way == "any":  # the other one would go to the primary, which has no such slot
                standby.restart("immediate")
        cluster.fail_over()
        load.wait_for(20)
        last = load.stop()
        wait_for(lambda consumer: consumer.ledger.saw(last))
        # What was read after the promotion lies behind the end of the timeline that the readers
        # began on.
        for name in names:
            store = FileOffsets(tmp_path / name)
            wait_until(lambda s=store, n=name: s.load(n).timeline == 2)  # type: ignore[misc]
        for way in ways:
            name = f"{way}_sync"
            consumers[name].reader.stop()
            consumers[name]._thread.join(20)
            consumers[name].ledger.begin_again()
            consumers[name] = consume(way, "sync", consumers[name].ledger)
        standby.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE active_pid IS NOT NULL AND slot_name LIKE '%async'"
        )
        load.run(10)
        last = load.mark()
        truth = load.expected()
        for name, consumer in consumers.items():
            consumer.finish(last)
            tally(f"promotion under a reader, {name}", 1, consumer.ledger.verdict(truth))


@pytest.mark.pg(16)
@pytest.mark.versions(18)
@pytest.mark.fault(17, 18)
def test_a_standby_that_is_behind_and_promoted_later(
    cluster: Cluster, tally: Callable[..., None]
) -> None:
    """Both servers have slots of the same name; nobody synchronises them."""
    standby = cluster.standby
    create_tables(cluster.primary.dsn(), publication="pub")
    standby.wait_for_replay()
    anywhere = cluster.dsn(target_session_attrs="any")
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(contextlib.closing(Load(cluster.dsn(**_WRITABLE))))
        consumers: dict[str, Consumer] = {}
        with _snapshots(cluster):
            for kind in ("behind", "level"):
                for flavour in FLAVOURS:
                    slots.create(standby.dsn(), f"{kind}_{flavour}")
        for flavour in FLAVOURS:
            name = f"behind_{flavour}"
            slots.create(cluster.primary.dsn(), name)
            consumers[name] = Consumer(flavour, anywhere, name, Ledger())
            slots.create(cluster.primary.dsn(), f"level_{flavour}")
            consumers[f"level_{flavour}"] = Consumer(
                flavour, anywhere, f"level_{flavour}", Ledger(), publications="quiet"
            )
        create_tables(cluster.primary.dsn(), "quiet", publication="quiet")
        quiet = stack.enter_context(
            contextlib.closing(Load(cluster.dsn(**_WRITABLE), table="quiet"))
        )
        standby.wait_for_replay()
        for name, consumer in consumers.items():
            if name.startswith("level"):
                consumer.ledger = Ledger(table="quiet")
            stack.enter_context(consumer)
        load.run(5)
        quiet.run(5)
        standby.wait_for_replay()
        standby.cut_off()
        load.run(20)
        last = load.mark()
        for flavour in FLAVOURS:
            behind = consumers[f"behind_{flavour}"]
            wait_until(lambda c=behind, n=last: c.ledger.saw(n))  # type: ignore[misc]
        cluster.primary.embedded.stop("immediate")
        # They find the standby, which does not have what they have read, and may get it still.
        for flavour in FLAVOURS:
            reading = consumers[f"level_{flavour}"].reader
            wait_until(lambda r=reading: r.stats.reconnects == 1)  # type: ignore[misc]
        time.sleep(0.3)
        for flavour in FLAVOURS:
            behind = consumers[f"behind_{flavour}"]
            assert (behind.error, behind.reader.stats.reconnects) == (None, 0)
        standby.promote()
        for flavour in FLAVOURS:
            error = consumers[f"behind_{flavour}"].failure()
            assert isinstance(error, TimelineDivergedError), error
        quiet.run(5)
        last = quiet.mark()
        for flavour in FLAVOURS:
            consumer = consumers[f"level_{flavour}"]
            consumer.finish(last)
            verdict = consumer.ledger.verdict(quiet.expected())
            tally(f"a standby that is promoted after the switch to it, {flavour}", 1, verdict)
    tally("a standby that is behind and promoted later: said", len(FLAVOURS))


@pytest.mark.pg(16)
@pytest.mark.versions(18)
@pytest.mark.fault(18)
def test_a_conflict_with_recovery_ends_the_slot(
    cluster: Cluster, tally: Callable[..., None]
) -> None:
    standby = cluster.standby
    create_tables(cluster.primary.dsn(), publication="pub")
    standby.wait_for_replay()
    load = Load(cluster.dsn(**_WRITABLE))

    def remove_rows() -> None:
        standby.configure(hot_standby_feedback="off")
        wait_until(
            lambda: (
                cluster.execute(
                    "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s"
                    " AND (catalog_xmin IS NOT NULL OR xmin IS NOT NULL)",
                    [standby.name],
                )
                == []
            )
        )
        for _ in range(3):
            cluster.execute("CREATE TABLE passing (id int)")
            cluster.execute("DROP TABLE passing")
        cluster.execute("VACUUM pg_class")
        cluster.execute("VACUUM pg_attribute")

    def lower_wal_level() -> None:
        configure(cluster.primary, wal_level="replica")
        cluster.primary.embedded.restart("immediate")

    with contextlib.closing(load):
        for reason, conflict in (
            ("rows_removed", remove_rows),
            ("wal_level_insufficient", lower_wal_level),
        ):
            with contextlib.ExitStack() as stack, _snapshots(cluster):
                consumers = []
                for flavour in FLAVOURS:
                    name = f"{reason}_{flavour}"
                    slots.create(standby.dsn(), name)
                    consumers.append(
                        stack.enter_context(Consumer(flavour, standby.dsn(), name, Ledger()))
                    )
                load.run(3)
                last = load.mark()
                for consumer in consumers:
                    wait_until(lambda c=consumer, n=last: c.ledger.saw(n))  # type: ignore[misc]
                break_it = stack.pop_all()
            with break_it:
                conflict()
                for consumer in consumers:
                    error = consumer.failure()
                    assert isinstance(error, SlotInvalidatedError), error
                    assert reason in str(error) or cluster.primary.version < 17
            tally(f"conflict with recovery: {reason}", len(consumers))
