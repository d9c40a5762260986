"""Read a slot with pgoutput-decoder, and make its JSON of every change."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from pgoutput_decoder import (  # type: ignore[import-not-found, unused-ignore]
    LogicalReplicationReader,
    message_to_debezium_json,
)


async def _main(reader: dict[str, Any], events: int) -> None:
    opened = time.perf_counter()
    began = cpu = 0.0
    count = 0
    changes = LogicalReplicationReader(**reader)
    async for change in changes:
        if not count:
            began, cpu = time.perf_counter(), time.process_time()
        message_to_debezium_json(change, indent=None)
        count += 1
        if count == events:
            break
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    await changes.stop()
    print(json.dumps({"events": count, "wall": wall, "cpu": cpu, "opening": began - opened}))


if __name__ == "__main__":
    asyncio.run(_main(**json.load(sys.stdin)))
