"""Reading over TLS, where the server's records come one by one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc import AsyncReplicationReader, ReplicationReader
from tests.faults.servers import switch_tls_on

if TYPE_CHECKING:
    from tests.servers import Server

_ROWS = 30_000


@pytest.mark.pg
def test_backlog_takes_few_wakeups_and_goes_on_after_a_cut(
    private_server: Server, slot_name: str
) -> None:
    dsn = switch_tls_on(private_server)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t"
        )
        for number in range(2):
            connection.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
                [f"{slot_name}{number}"],
            )
        connection.execute("INSERT INTO t SELECT generate_series(1, %s)", [_ROWS])

        def cut(slot: str) -> None:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE slot_name = %s",
                [slot],
            )

        options: dict[str, Any] = {"publications": "pub", "until": "now"}
        with ReplicationReader(dsn, slot=f"{slot_name}0", **options) as reader:
            for number, change in enumerate(reader, start=1):
                assert change.key == {"id": number}
                if number == 1000:
                    cut(f"{slot_name}0")
            assert reader.stats.changes == _ROWS

        async def read() -> int:
            waits = 0
            async with AsyncReplicationReader(dsn, slot=f"{slot_name}1", **options) as reader:
                flavour = reader._source._flavour
                wait = flavour.wait

                async def counted(*arguments: Any) -> None:
                    nonlocal waits
                    waits += 1
                    await wait(*arguments)

                flavour.wait = counted  # type: ignore[assignment]
                number = 0
                async for change in reader:
                    number += 1
                    assert change.key == {"id": number}
                    if number == 1000:
                        cut(f"{slot_name}1")
                    if number % 3000 == 0:
                        time.sleep(0.05)  # noqa: ASYNC251  so that more is here at once
                assert number == _ROWS
            return waits

        # One for each message would be 30,000; the server sends each in a record of its own.
        assert asyncio.run(read()) < _ROWS / 3
