"""A connection that is lost when the reader says goodbye, in the middle of a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc import AsyncReplicationReader, ReplicationReader
from pglogical_cdc.offsets import FileOffsets
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.load import Ledger
from tests.faults.proxy import Proxy
from tests.faults.scene import quiet_load

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
@pytest.mark.fault(2, 30)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_lost_at_the_goodbye(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    tmp_path: Path,
    tally: Callable[..., None],
) -> None:
    ledger, store = Ledger(), FileOffsets(tmp_path / "offset")
    with quiet_load(database.dsn, slot_name) as load, Proxy(database.server.embedded.port) as proxy:
        load.mark()
        number = 1000
        # More than what fits into the buffers on the way.
        database.execute(
            f"BEGIN; INSERT INTO load_commits VALUES ({number}, 20000);"
            "INSERT INTO load SELECT g, 0, repeat('x', 500) FROM generate_series(1, 20000) g;"
            "COMMIT"
        )
        proxy.limit(300_000)
        given: dict[str, Any] = {
            "slot": slot_name,
            "publications": "pub",
            "ack": "manual",
            "offsets": store,
        }
        if flavour == "sync":
            _leave(ReplicationReader(proxy.dsn(database.dsn), **given), ledger, proxy, number)
        else:
            reader = AsyncReplicationReader(proxy.dsn(database.dsn), **given)
            asyncio.run(_aleave(reader, ledger, proxy, number))
        stored = store.load(slot_name)
        assert stored is not None
        # That transaction was acknowledged as a whole, the next was not.
        assert stored.transaction_end > 0
        ledger.begin_again()
        with Consumer(flavour, database.dsn, slot_name, ledger, offsets=store) as consumer:
            consumer.finish(load.mark())
        verdict = ledger.verdict(load.expected())
        assert verdict.redelivered >= 1
        tally("connection lost at the goodbye", 1, verdict)


def _leave(reader: ReplicationReader, ledger: Ledger, proxy: Proxy, number: int) -> None:
    with reader:
        for change in reader:
            ledger.apply(change)
            reader.ack(change)
            if ledger.saw(number):
                break
        while (more := reader.poll(0)) is not None:
            ledger.apply(more)
            reader.ack(more)
        proxy.cut()


async def _aleave(
    reader: AsyncReplicationReader, ledger: Ledger, proxy: Proxy, number: int
) -> None:
    async with reader:
        async for change in reader:
            ledger.apply(change)
            reader.ack(change)
            if ledger.saw(number):
                break
        while (more := await reader.poll(0)) is not None:
            ledger.apply(more)
            reader.ack(more)
        proxy.cut()
