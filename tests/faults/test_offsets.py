"""Positions in a store: before the server has them, beyond what it has, or not to be read."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from pglogical_cdc import (
    LSN,
    CdcError,
    FileOffsets,
    Offset,
    OffsetStoreError,
    OffsetStoreUnavailableError,
    PostgresOffsets,
    SystemMismatchError,
    TimelineDivergedError,
)
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.crashing import KILLED, Runs, read_lines
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.faults.servers import execute
from tests.reading import confirmed, wait_until
from tests.servers import Database, Server, run_server

if TYPE_CHECKING:
    from pglogical_cdc.offsets import OffsetStore


def _prepare(server: Server, *slots: str) -> None:
    create_tables(server.dsn(), publication="pub")
    for slot in slots:
        execute(server, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def _confirmed(server: Server, slot: str) -> LSN:
    ((lsn,),) = execute(
        server,
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s",
        [slot],
    )
    return LSN.parse(lsn)


def _load(server: Server) -> contextlib.closing[Load]:
    return contextlib.closing(Load(server.dsn()))


@contextlib.contextmanager
def _consuming(dsn: str, folder: Path) -> Iterator[dict[str, Consumer]]:
    """Run a consumer of each flavour without a store, and one with."""
    with contextlib.ExitStack() as stack:
        yield {
            slot: stack.enter_context(Consumer(_flavour(slot), dsn, slot, Ledger(), **options))
            for slot in _SLOTS
            for options in [_options(slot, folder)]
        }


def _options(slot: str, folder: Path) -> dict[str, Any]:
    return {"offsets": FileOffsets(folder / slot)} if slot.startswith("stored") else {}


def _flavour(slot: str) -> Flavour:
    return "async" if slot.endswith("async") else "sync"


_SLOTS: Final = tuple(f"{kind}_{flavour}" for kind in ("plain", "stored") for flavour in FLAVOURS)


def _all_fail(
    consumers: dict[str, Consumer], dsn: str, folder: Path, kind: type[CdcError], match: str
) -> int:
    """Check that they fail, and so do new processes with the same stores; count them."""
    for consumer in consumers.values():
        error = consumer.failure()
        assert isinstance(error, kind), error
        assert match in str(error)
    for flavour in FLAVOURS:
        slot = f"stored_{flavour}"
        stored = (folder / slot).read_bytes()
        with Consumer(flavour, dsn, slot, Ledger(), **_options(slot, folder)) as consumer:
            error = consumer.failure()
        assert isinstance(error, kind), error
        assert match in str(error)
        assert consumer.ledger.events == 0
        assert (folder / slot).read_bytes() == stored
    return len(consumers) + len(FLAVOURS)


@pytest.mark.pg
@pytest.mark.fault(14)
def test_another_cluster(
    private_server: Server, server_choice: str, tmp_path: Path, tally: Callable[..., None]
) -> None:
    _prepare(private_server, *_SLOTS)
    with run_server(server_choice) as other, Proxy(private_server.embedded.port) as proxy:
        _prepare(other, *_SLOTS)
        dsn = proxy.dsn(private_server.dsn())
        with _consuming(dsn, tmp_path) as consumers, _load(private_server) as load:
            load.run(5)
            last = load.mark()
            for consumer in consumers.values():
                wait_until(lambda c=consumer, n=last: c.ledger.saw(n))  # type: ignore[misc]
            proxy.move("127.0.0.1", other.embedded.port)
            count = _all_fail(consumers, dsn, tmp_path, SystemMismatchError, "another cluster")
        tally("a connection that leads to another cluster: said, and nothing read", count)

        # What is there is read after all if somebody says so, and from then on it is the same.
        with _load(other) as load:
            load.run(5)
            for flavour in FLAVOURS:
                slot = f"stored_{flavour}"
                ledger = Ledger()
                options = _options(slot, tmp_path)
                trusting = Consumer(
                    flavour, dsn, slot, ledger, on_offset_mismatch="trust_slot", **options
                )
                with trusting as consumer:
                    consumer.finish(load.mark())
                ledger.begin_again()
                with Consumer(flavour, dsn, slot, ledger, **options) as consumer:
                    consumer.finish(load.mark())
                verdict = ledger.verdict(load.expected())
                assert verdict.redelivered <= 1
                tally(f"another cluster, trust_slot, {flavour}", 1, verdict)


@pytest.mark.pg
@pytest.mark.fault(14)
def test_a_server_restored_from_a_copy(
    private_server: Server, tmp_path: Path, tally: Callable[..., None]
) -> None:
    server = private_server
    _prepare(server, *_SLOTS)
    dsn = server.dsn()
    data, copy = server.embedded.data, server.embedded.directory / "copy"
    with _consuming(dsn, tmp_path) as consumers, _load(server) as load:
        load.run(5)
        server.embedded.stop("fast")
        subprocess.run(["cp", "-a", str(data), str(copy)], check=True)
        server.embedded.start()
        load.run(20)
        last = load.mark()
        for consumer in consumers.values():
            wait_until(lambda c=consumer, n=last: c.ledger.saw(n))  # type: ignore[misc]
        server.embedded.stop("immediate")
        shutil.rmtree(data)
        copy.rename(data)
        server.embedded.start()
        count = _all_fail(consumers, dsn, tmp_path, TimelineDivergedError, "the server has got to")
    tally("a server restored from an older copy: said, and nothing read", count)


@pytest.mark.pg
@pytest.mark.fault(26)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_store_that_cannot_be_read(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    flavour: Flavour,
    tally: Callable[..., None],
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    path = tmp_path / "offset"
    with contextlib.closing(Load(database.dsn)) as load:
        load.run(3)
        ledger = Ledger()
        with Consumer(
            flavour, database.dsn, slot_name, ledger, offsets=FileOffsets(path)
        ) as consumer:
            consumer.finish(load.mark())
        whole = path.read_bytes()
        where = confirmed(database, slot_name)
        load.run(3)
        members = json.loads(whole)
        wrong: list[tuple[bytes, type[CdcError], str]] = [
            (b"", OffsetStoreError, "an empty file"),
            (whole[:-20], OffsetStoreError, "not JSON"),
            (bytes(len(whole)), OffsetStoreError, "not JSON"),
            (b"{}", OffsetStoreError, "without"),
            (_changed(members, slot="other"), OffsetStoreError, "that of slot 'other'"),
            (_changed(members, version=2), OffsetStoreError, "another release"),
            (_changed(members, position="nowhere"), OffsetStoreError, "LSN"),
            (_changed(members, system_identifier="1"), SystemMismatchError, "another cluster"),
            (_changed(members, timeline=7), TimelineDivergedError, "does not descend"),
            (_changed(members, transaction_end="7F/0"), TimelineDivergedError, "7F/0"),
        ]
        for content, kind, match in wrong:
            path.write_bytes(content)
            for options in ({}, {"create": True}):
                failing = Consumer(
                    flavour,
                    database.dsn,
                    slot_name,
                    Ledger(),
                    offsets=FileOffsets(path),
                    **options,
                )
                with failing:
                    error = failing.failure()
                assert isinstance(error, kind), (content, error)
                assert match in str(error)
                assert failing.ledger.events == 0
                assert path.read_bytes() == content
        assert confirmed(database, slot_name) == where
        path.write_bytes(whole)
        ledger.begin_again()
        with Consumer(
            flavour, database.dsn, slot_name, ledger, offsets=FileOffsets(path)
        ) as consumer:
            consumer.finish(load.mark())
        verdict = ledger.verdict(load.expected())
        # The last change, in whose hand the reader was stopped, was not acknowledged.
        assert verdict.redelivered <= 1
    tally(f"a store that cannot be read or lies, {flavour}", 2 * len(wrong), verdict)


def _changed(members: dict[str, object], **changes: object) -> bytes:
    return json.dumps({**members, **changes}).encode()


@pytest.mark.pg
@pytest.mark.fault(25)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_room_for_the_store_or_the_sink(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    flavour: Flavour,
    tally: Callable[..., None],
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    path, error = tmp_path / "lines", tmp_path / "lines.error"
    offsets = tmp_path / "lines.offset"
    with (
        contextlib.closing(Load(database.dsn)) as load,
        Runs("lines", flavour, dsn=database.dsn, slot=slot_name, path=str(path)) as runs,
    ):
        load.run(10)
        assert runs.run(last=load.mark()) == 0
        stored, where = offsets.read_bytes(), confirmed(database, slot_name)

        # In the middle of a line, and none at all.
        for room in (1000, 0):
            load.run(20)
            assert runs.run(limit=path.stat().st_size + room) == 1
            assert error.read_text().startswith("SinkError: cannot write"), error.read_text()
            assert offsets.read_bytes() == stored
            assert confirmed(database, slot_name) == where

        # The sink has room, and the store has none.
        lines = path.rename(tmp_path / "kept")
        path.symlink_to("/dev/null")
        assert runs.run(limit=50) == 1
        assert error.read_text().startswith("OffsetStoreError: cannot write"), error.read_text()
        assert offsets.read_bytes() == stored
        assert not list(tmp_path.glob(".*.tmp"))
        assert confirmed(database, slot_name) == where

        path.unlink()
        lines.rename(path)
        assert runs.run(last=load.mark()) == 0
        ledger, _ = read_lines(path)
        verdict = ledger.verdict(load.expected())
    tally(f"no room for the sink or the store, {flavour}", 3, verdict)


class _Polled:
    """A store of which another thread may ask what it has."""

    def __init__(self, store: OffsetStore) -> None:
        self._store = store
        self.stored: Offset | None = None

    def load(self, key: str) -> Offset | None:
        return self._store.load(key)

    def save(self, key: str, offset: Offset) -> None:
        self._store.save(key, offset)
        self.stored = offset


@pytest.mark.pg
@pytest.mark.fault(14, 24)
def test_stored_before_the_server_has_it(
    private_server: Server, tmp_path: Path, tally: Callable[..., None]
) -> None:
    server = private_server
    slots = {f"{kind}_{flavour}": flavour for kind in ("busy", "idle") for flavour in FLAVOURS}
    _prepare(server, *slots)
    execute(server, "CREATE TABLE quiet (id int); CREATE PUBLICATION quiet FOR TABLE quiet")
    stores = {slot: _Polled(FileOffsets(tmp_path / slot)) for slot in slots}
    created = {slot: _confirmed(server, slot) for slot in slots}
    consumers: dict[str, Consumer] = {}
    polls = ahead = 0
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.embedded.port))
        load = stack.enter_context(contextlib.closing(Load(server.dsn(), rate=200)))
        for slot, flavour in slots.items():
            publication = "quiet" if slot.startswith("idle") else "pub"
            consumers[slot] = stack.enter_context(
                Consumer(
                    flavour,
                    proxy.dsn(server.dsn()),
                    slot,
                    Ledger(),
                    offsets=stores[slot],
                    publications=publication,
                    status_interval=0.05,
                )
            )
        load.start()
        began, cut_at = time.monotonic(), 0.3
        moved: set[str] = set()
        # A busy machine does not show all of it within the time of the cuts.
        while (seconds := time.monotonic() - began) < 1.5 or (
            seconds < 20 and (polls <= 50 or not ahead or len(moved) < len(slots))
        ):
            if cut_at < seconds < 1.5:
                cut_at += 0.3
                proxy.cut()
            for slot in slots:
                here = _confirmed(server, slot)
                stored = stores[slot].stored
                polls += 1
                if here == created[slot]:
                    continue
                moved.add(slot)
                assert stored is not None
                assert here <= stored.position
                ahead += here < stored.position
        last = load.stop()
        for slot, consumer in consumers.items():
            assert consumer.error is None
            if slot.startswith("busy"):
                consumer.finish(last)
                verdict = consumer.ledger.verdict(load.expected())
                tally(
                    f"cut while it is polled: stored before confirmed, {slot}", proxy.cuts, verdict
                )
            else:
                assert _confirmed(server, slot) > created[slot]
    assert polls > 50
    assert ahead > 0


@pytest.mark.pg
@pytest.mark.fault(14, 24)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_killed_between_the_store_and_the_server(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    flavour: Flavour,
    tally: Callable[..., None],
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    path = tmp_path / "lines"
    store = FileOffsets(tmp_path / "lines.offset")
    before = store
    kills = behind = 0
    with (
        Load(database.dsn, rate=100) as load,
        Runs("lines", flavour, dsn=database.dsn, slot=slot_name, path=str(path)) as runs,
    ):
        for at in (1, 3, 2):
            # Stored comes after flushed: what is stored is in the file, and comes no second time.
            assert runs.run(step="stored", at=at) == KILLED
            kills += 1
            offset = before.load(slot_name)
            assert offset is not None
            assert confirmed(database, slot_name) <= offset.position
            behind += confirmed(database, slot_name) < offset.position
            size = path.stat().st_size
            assert runs.run(step="handle", at=1) == KILLED
            assert runs.run(step="written", at=2) == KILLED
            wait_until(lambda: runs.run(step="flushed", at=1) == KILLED)
            with path.open("rb") as file:
                file.seek(size)
                first = LSN.parse(json.loads(file.readline())["position"].split(":")[0])
            assert first >= offset.transaction_end
        assert behind > 0
        assert runs.run(last=load.stop()) == 0
        ledger, _ = read_lines(path)
        verdict = ledger.verdict(load.expected())
    tally(f"kill -9 between the store and the server, {flavour}", kills, verdict)


@pytest.mark.pg
@pytest.mark.fault(14)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_slot_behind_its_store_is_healthy(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    flavour: Flavour,
    tally: Callable[..., None],
) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    database.execute(
        "SELECT pg_copy_logical_replication_slot(%s, %s)", [slot_name, f"{slot_name}_2"]
    )
    path, ledger = tmp_path / "offset", Ledger()
    with contextlib.closing(Load(database.dsn)) as load:
        load.run(20)
        store = FileOffsets(path)
        with Consumer(flavour, database.dsn, slot_name, ledger, offsets=store) as consumer:
            consumer.finish(load.mark())
        load.run(20)
        # A slot that has not moved at all, in place of the one that has.
        offset = store.load(slot_name)
        assert offset is not None
        other, slot = FileOffsets(tmp_path / "other"), f"{slot_name}_2"
        other.save(slot, evolve(offset, slot=slot))
        ledger.begin_again()
        with Consumer(flavour, database.dsn, slot, ledger, offsets=other) as consumer:
            consumer.finish(load.mark())
        verdict = ledger.verdict(load.expected())
        assert verdict.redelivered <= 1
    tally(f"a slot behind its store, {flavour}", 1, verdict)


@pytest.mark.pg
@pytest.mark.fault(25)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_store_that_is_away_for_a_while_is_waited_for(
    database: Database,
    private_server: Server,
    slot_name: str,
    flavour: Flavour,
    tally: Callable[..., None],
) -> None:
    """Its database restarts: nothing is confirmed meanwhile, and the reader goes on."""
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    store = private_server.embedded
    ledger = Ledger()
    with (
        PostgresOffsets(private_server.dsn()) as offsets,
        Load(database.dsn, rate=100) as load,
        Consumer(flavour, database.dsn, slot_name, ledger, offsets=offsets) as consumer,
    ):
        load.wait_for(20)
        store.stop("immediate")
        wait_until(lambda: consumer.events[-1].state in ("retrying", "connecting"))
        errors = [event.error for event in consumer.events if event.state == "retrying"]
        assert isinstance(errors[-1], OffsetStoreUnavailableError)
        before = confirmed(database, slot_name)
        load.wait_for(20)
        assert confirmed(database, slot_name) == before
        store.start()
        consumer.finish(load.stop())
        stored = offsets.load(slot_name)
        assert stored is not None
        assert before < confirmed(database, slot_name) <= stored.position
        tally("store away for a while", 1, ledger.verdict(load.expected()))
        # What does not pass by itself is not waited for.
        with (
            PostgresOffsets(private_server.dsn(), table="nowhere.offsets") as wrong,
            pytest.raises(OffsetStoreError) as caught,
        ):
            wrong.load(slot_name)
        assert not caught.value.retryable
