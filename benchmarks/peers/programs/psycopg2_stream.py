"""Read a slot with psycopg2's ``consume_stream``, and parse nothing."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import psycopg2  # type: ignore[import-untyped, unused-ignore]
from psycopg2.extras import (  # type: ignore[import-untyped, unused-ignore]
    LogicalReplicationConnection,
    StopReplication,
)


def _main(dsn: str, slot: str, publication: str, until: str, events: int) -> None:
    high, low = until.split("/")
    end = int(high, 16) << 32 | int(low, 16)
    opened = time.perf_counter()
    connection = psycopg2.connect(dsn, connection_factory=LogicalReplicationConnection)
    cursor = connection.cursor()

    def consume(message: Any) -> None:
        if message.data_start >= end:
            cursor.send_feedback(flush_lsn=end, force=True)
            raise StopReplication

    options = {"proto_version": "1", "publication_names": publication}
    began, cpu = time.perf_counter(), time.process_time()
    cursor.start_replication(slot_name=slot, options=options, decode=False)
    try:
        cursor.consume_stream(consume)
    except StopReplication:
        pass
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    connection.close()
    print(json.dumps({"events": events, "wall": wall, "cpu": cpu, "opening": began - opened}))


if __name__ == "__main__":
    _main(**json.load(sys.stdin))
