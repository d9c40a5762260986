"""Tests of `tests.faults.load`."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.cli.embedded import StopMode
from pglogical_cdc.events import Change, Update
from pglogical_cdc.replication.reader import ReplicationReader
from tests.faults.load import Ledger, Load, Truth, Verdict, create_tables
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from tests.servers import Database, Server

pytestmark = pytest.mark.pg


@contextlib.contextmanager
def _load(dsn: str, *, seed: int = 0, table: str = "load", rows: int = 300) -> Iterator[Load]:
    with contextlib.closing(Load(dsn, seed=seed, table=table, rows=rows)) as load:
        yield load


def _recorded(database: Database, slot: str, transactions: int) -> tuple[list[Change], Truth]:
    """Run a load and give what the stream and the server say of it."""
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    with _load(database.dsn, rows=60) as load:
        load.run(transactions)
        truth = load.expected()
    with ReplicationReader(database.dsn, slot=slot, publications="pub", until="now") as reader:
        return list(reader), truth


def _verdict(changes: Sequence[Change], truth: Truth) -> Verdict:
    ledger = Ledger()
    for change in changes:
        ledger.apply(change)
    return ledger.verdict(truth)


def test_the_seed_decides(database: Database) -> None:
    truths = []
    for table, seed in (("one", 1), ("two", 1), ("three", 3)):
        create_tables(database.dsn, table)
        with _load(database.dsn, seed=seed, table=table) as load:
            load.run(30)
            assert load.committed + load.rolled_back == 30
            assert (load.connects, load.in_doubt) == (1, 0)
            truths.append(load.expected())
            assert len(truths[-1].commits) == load.committed
    assert truths[0] == truths[1] != truths[2]


def test_a_ledger_tells_what_is_wrong(database: Database, slot_name: str) -> None:
    changes, truth = _recorded(database, slot_name, 120)
    ops = Counter(change.op for change in changes)
    assert min(ops["insert"], ops["update"], ops["delete"]) > 20
    assert any(isinstance(change, Update) and change.key_changed for change in changes)
    assert any(change.after is not None and change.after.missing for change in changes)
    assert len(changes) == sum(truth.commits.values()) + len(truth.commits)
    assert _verdict(changes, truth) == Verdict(len(changes), 0, 0, 0)

    source = random.Random(1)
    for _ in range(8):
        place = source.randrange(1, len(changes))
        lost = _verdict(changes[:place] + changes[place + 1 :], truth)
        assert lost.lost > 0
        assert (lost.repeated, lost.reordered) == (0, 0)
        repeated = _verdict(changes[:place] + changes[place - 1 :], truth)
        assert repeated == Verdict(len(changes), 0, 1, 0)
        swapped = [*changes[: place - 1], changes[place], changes[place - 1], *changes[place + 1 :]]
        assert _verdict(swapped, truth).reordered == 1
    lsns = sorted({change.position.commit_lsn for change in changes})
    for lsn in (lsns[0], lsns[30], lsns[-1]):
        rest = [change for change in changes if change.position.commit_lsn != lsn]
        assert _verdict(rest, truth).lost > 0
    rows = dict(truth.rows)
    key, _ = rows.popitem()
    assert _verdict(changes, Truth(rows, truth.commits)).details == (f"row {key} is surplus",)


@pytest.mark.parametrize(
    ("torn", "clean"),
    [
        (lambda content: content + b'{"position": "0/1', True),
        (lambda content: content[:-10], True),
        (lambda content: content[: content[:-1].rfind(b"\n") - 200], False),
    ],
    ids=["torn line", "torn last line", "gap"],
)
def test_a_ledger_in_a_file_outlives_its_process(
    database: Database,
    slot_name: str,
    tmp_path: Path,
    torn: Callable[[bytes], bytes],
    clean: bool,
) -> None:
    changes, truth = _recorded(database, slot_name, 20)
    path = tmp_path / "ledger"
    half = len(changes) // 2
    with Ledger(path) as ledger:
        for change in changes[:half]:
            ledger.apply(change)
        assert path.read_bytes().count(b"\n") == half + 1
    path.write_bytes(torn(path.read_bytes()))
    with Ledger(path) as ledger:
        for change in changes[half - 1 :]:
            ledger.apply(change)
    verdict = Ledger.read(path).verdict(truth)
    assert verdict.is_clean is clean
    if clean:
        assert verdict.events == len(changes)
        assert verdict.redelivered in (0, 1)


def test_a_process_may_begin_again(database: Database, slot_name: str) -> None:
    changes, truth = _recorded(database, slot_name, 20)
    ledger = Ledger()
    for change in changes[:20]:
        ledger.apply(change)
    ledger.begin_again()
    for change in changes:
        ledger.apply(change)
    assert ledger.verdict(truth) == Verdict(len(changes), 0, 0, 0, redelivered=20)


def test_runs_in_a_thread_at_a_rate(database: Database, slot_name: str) -> None:
    create_tables(database.dsn, publication="pub")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot_name])
    began = time.monotonic()
    with Load(database.dsn, rate=40) as load:
        load.wait_for(10)
        assert time.monotonic() - began > 0.2
        load.rate = None
        load.wait_for(50)
        last = load.stop()
        truth = load.expected()
    assert max(truth.commits) == last
    ledger = Ledger()
    with ReplicationReader(database.dsn, slot=slot_name, publications="pub") as reader:
        for change in reader:
            ledger.apply(change)
            if ledger.saw(last):
                break
    assert ledger.verdict(truth).is_clean


def test_knows_what_has_committed_when_its_connection_breaks(database: Database) -> None:
    create_tables(database.dsn)
    source = random.Random(5)
    with Proxy(database.server.embedded.port) as proxy, Load(proxy.dsn(database.dsn)) as load:
        for rst in (False, True) * 10:
            load.wait_for(1)
            proxy.cut_after(source.randrange(1, 3000), rst=rst)
            proxy.wait()
        load.stop()
        truth = load.expected(database.dsn)
        assert load.connects > 10
        assert len(truth.commits) == load.committed


@pytest.mark.versions(18)
def test_survives_crashes_of_the_server(private_server: Server) -> None:
    create_tables(private_server.dsn())
    with Load(private_server.dsn()) as load:
        modes: tuple[StopMode, ...] = ("immediate", "fast")
        for mode in modes:
            load.wait_for(20)
            private_server.embedded.restart(mode)
        load.wait_for(20)
        private_server.embedded.stop("immediate")
        private_server.embedded.start()
        load.stop()
        truth = load.expected()
        assert load.connects > 2
        assert len(truth.commits) == load.committed
        assert load.mark() == max(load.expected().commits)


def test_an_error_of_the_load_is_raised(database: Database) -> None:
    load = Load(database.dsn, table="nowhere")
    load.start()
    with contextlib.closing(load), pytest.raises(Exception, match="nowhere"):
        load.wait_for(1)
