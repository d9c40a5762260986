"""Random faults under load: nothing lost, nothing twice in one process, nothing out of order."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger, Load, create_tables
from tests.faults.proxy import Proxy
from tests.reading import wait_until

if TYPE_CHECKING:
    from tests.servers import Server

_KINDS: Final = (
    "cut",
    "reset",
    "cut at a random byte",
    "cut at a random byte of the start",
    "black hole",
    "walsender terminated",
    "restart -m immediate",
    "restart -m fast",
)

_SLOT: Final = "random_faults"


def _inject(kind: str, server: Server, proxy: Proxy, chance: random.Random) -> None:
    match kind:
        case "cut":
            proxy.cut()
        case "reset":
            proxy.cut(rst=True)
        case "cut at a random byte":
            proxy.cut_after(chance.randrange(300, 100_000), rst=chance.random() < 0.5)
            proxy.wait()
        case "cut at a random byte of the start":
            # An attempt brings some 2 kB, of which the first 400 are the authentication.
            proxy.cut_next_after(chance.randrange(1, 2_000), rst=chance.random() < 0.5)
            proxy.cut()
            # The next may be the connection beside the stream, which may never get so far.
            with contextlib.suppress(AssertionError):
                proxy.wait(2)
        case "black hole":
            proxy.black_hole()
            time.sleep(chance.random() * 0.3)
            proxy.restore()
        case "walsender terminated":
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                    " WHERE active_pid IS NOT NULL"
                )
        case "restart -m immediate":
            server.embedded.restart("immediate")
        case "restart -m fast":
            server.embedded.restart("fast")


@pytest.mark.pg
@pytest.mark.fault(1, 2, 3, 4)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_random_faults_under_load(
    private_server: Server, flavour: Flavour, fault_count: int, tally: Callable[..., None]
) -> None:
    chance = random.Random(f"{flavour} {private_server.version}")
    server = private_server
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_sender_timeout = '2s'")
        connection.execute("SELECT pg_reload_conf()")
    create_tables(server.dsn(), publication="pub")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [_SLOT])
    # Each kind, then any.
    kinds = [*_KINDS, *(chance.choice(_KINDS) for _ in range(fault_count))][:fault_count]
    chance.shuffle(kinds)
    ledger = Ledger()
    with (
        Proxy(server.embedded.port) as proxy,
        Load(server.dsn(), seed=chance.randrange(1000), rate=200) as load,
        Consumer(flavour, proxy.dsn(server.dsn(), connect_timeout=2), _SLOT, ledger) as consumer,
    ):
        for kind in kinds:
            before = ledger.events
            _inject(kind, server, proxy, chance)
            wait_until(lambda: ledger.events > before or consumer.error is not None, 30)  # noqa: B023
            time.sleep(chance.random() * 0.2)
        consumer.finish(load.stop())
        verdict = ledger.verdict(load.expected())
        assert consumer.reader.stats.reconnects >= fault_count * 0.5
    tally("random faults, " + flavour, len(kinds), verdict)
