"""A program that reads until it is told to end; tests run it as a process of its own.

``python -m tests.faults.ending FLAVOUR SIGNALS DSN SLOT [create]`` says its states and keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from typing import Any

from pglogical_cdc import AsyncReplicationReader, Backoff, Change, ReaderEvent, ReplicationReader

__all__ = ()


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201  the test reads it


def _tell(event: ReaderEvent) -> None:
    _say(event.state)


def _handle(change: Change) -> None:
    assert change.key is not None
    _say("key", change.key["id"])
    if change.key["id"] == 3:
        time.sleep(60)


def _read(reader: ReplicationReader) -> None:
    with reader:
        for change in reader:
            _handle(change)


async def _aread(reader: AsyncReplicationReader) -> None:
    async with reader:
        async for change in reader:
            assert change.key is not None
            _say("key", change.key["id"])
            if change.key["id"] == 3:
                await asyncio.sleep(60)


def _main(flavour: str, signals: str, dsn: str, slot: str, *create: str) -> None:
    options: dict[str, Any] = {
        "slot": slot,
        "publications": "pub",
        "create": bool(create),
        "on_event": _tell,
        "reconnect": Backoff(initial=5, jitter=0),
    }
    reader: ReplicationReader | AsyncReplicationReader
    if flavour == "sync":
        reader = ReplicationReader(dsn, **options)
    else:
        reader = AsyncReplicationReader(dsn, **options)
    if signals == "stop":
        signal.signal(signal.SIGINT, lambda number, frame: reader.stop())
        signal.signal(signal.SIGTERM, lambda number, frame: reader.stop())
    with contextlib.suppress(KeyboardInterrupt):
        if isinstance(reader, ReplicationReader):
            _read(reader)
        else:
            asyncio.run(_aread(reader))
    _say("ended")


if __name__ == "__main__":
    _main(*sys.argv[1:])
