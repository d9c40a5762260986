"""Recorded streams of a real server, and what Debezium made of one of them; see README.md."""

from __future__ import annotations

import functools
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any, Final, Literal

from pglogical_cdc.lsn import LSN

__all__ = (
    "RAW_STREAMS",
    "WORKLOAD_STREAMS",
    "catalog",
    "debezium_records",
    "pg_types",
    "raw_messages",
)

RAW_STREAMS: Final = (
    "raw_pgoutput_v1",
    "raw_pgoutput_v1_binary",
    "raw_pgoutput_v1_gencols",
    "raw_pgoutput_v1_nomsg",
    "raw_pgoutput_v1_root",
    "raw_pgoutput_v2",
    "raw_pgoutput_v4",
    "message_key_columns/raw_pgoutput_v1",
)
"""Streams of the workload that Debezium read."""

WORKLOAD_STREAMS: Final = (
    "messages/plain_v1",
    "messages/streamed_v2",
    "messages/streamed_v2_binary",
    "messages/two_phase_v3",
    "messages/parallel_v4",
)
"""Streams with every kind of message, of the workload of `tests.protocol.server_workload`."""


@functools.cache
def _files() -> dict[str, bytes]:
    archive = Path(__file__).with_name("pg18.tar.xz")
    with lzma.open(archive) as plain, tarfile.open(fileobj=plain, mode="r|") as members:
        return {member.name: _read(members, member) for member in members}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return file.read()


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _files()[f"{name}.jsonl"].splitlines()]


def raw_messages(name: str) -> list[tuple[int, int, bytes]]:
    """Give LSN, transaction ID and payload of the messages of one of the streams above."""
    return [
        (LSN.parse(line["lsn"]), int(line["xid"]), bytes.fromhex(line["hex"]))
        for line in _lines(name)
    ]


def debezium_records(name: Literal["default", "skipped_none"]) -> list[dict[str, Any]]:
    """Give the records of a Debezium engine; the README says what is in one."""
    return _lines(name)


def pg_types(folder: Literal["", "message_key_columns"] = "") -> list[dict[str, Any]]:
    """Give the rows of ``pg_type`` that belong to the raw messages of a folder."""
    name = f"{folder}/pg_type.json" if folder else "pg_type.json"
    rows: list[dict[str, Any]] = json.loads(_files()[name])
    return rows


def catalog(which: Literal["before", "after"]) -> dict[str, Any]:
    """Give the catalog before or after the workload."""
    content: dict[str, Any] = json.loads(_files()[f"catalog_{which}.json"])
    return content
