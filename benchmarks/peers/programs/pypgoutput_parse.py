"""Decode a file of pgoutput's messages with pypgoutput's decoders."""

from __future__ import annotations

import json
import struct
import sys
import time
from pathlib import Path

from pypgoutput import decoders  # type: ignore[import-not-found, unused-ignore]


def _read(path: str) -> list[bytes]:
    content = Path(path).read_bytes()
    payloads = []
    position = 0
    while position < len(content):
        (length,) = struct.unpack_from("!I", content, position)
        position += 4
        payloads.append(content[position : position + length])
        position += length
    return payloads


def _main(payloads: str) -> None:
    # The message's first letter decides, as in its own reader.
    classes = {
        "B": decoders.Begin,
        "C": decoders.Commit,
        "R": decoders.Relation,
        "I": decoders.Insert,
        "U": decoders.Update,
        "D": decoders.Delete,
        "T": decoders.Truncate,
    }
    messages = _read(payloads)
    began, cpu = time.perf_counter(), time.process_time()
    for payload in messages:
        classes[payload[:1].decode("utf-8")](payload)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"events": len(messages), "wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    _main(**json.load(sys.stdin))
