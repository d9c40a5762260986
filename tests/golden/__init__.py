"""Recorded streams of a real server, and what Debezium made of one of them; see README.md."""

from __future__ import annotations

import functools
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pglogical_cdc.events import CatalogColumn, CatalogType, TableCatalog, UniqueIndex
from pglogical_cdc.lsn import LSN

__all__ = (
    "Folder",
    "RAW_STREAMS",
    "WORKLOAD_STREAMS",
    "debezium_messages",
    "debezium_records",
    "first_run_configurations",
    "first_run_records",
    "pg_types",
    "raw_messages",
    "recorded_catalogs",
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

Folder: TypeAlias = Literal["", "message_key_columns"]
"""Of the first run, which was two: this configuration came later, with OIDs of its own."""

_DEBEZIUM: Final = "debezium.tar.xz"


@functools.cache
def _files(archive: str = "pg18.tar.xz") -> dict[str, bytes]:
    with (
        lzma.open(Path(__file__).with_name(archive)) as plain,
        tarfile.open(fileobj=plain, mode="r|") as members,
    ):
        return {member.name: _read(members, member) for member in members}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return file.read()


def _lines(name: str, archive: str = "pg18.tar.xz") -> list[dict[str, Any]]:
    return [json.loads(line) for line in _files(archive)[f"{name}.jsonl"].splitlines()]


def raw_messages(name: str) -> list[tuple[int, int, bytes]]:
    """Give LSN, transaction ID and payload of the messages of one of the streams above."""
    return _messages(_lines(name))


def _messages(lines: list[dict[str, Any]]) -> list[tuple[int, int, bytes]]:
    return [
        (LSN.parse(line["lsn"]), int(line["xid"]), bytes.fromhex(line["hex"])) for line in lines
    ]


def debezium_records(configuration: str) -> list[dict[str, Any]]:
    """Give the records of a Debezium engine; the README says what is in one."""
    return _lines(configuration, _DEBEZIUM)


def first_run_configurations() -> list[str]:
    """Give the names of what `first_run_records` takes."""
    names = [name.removesuffix(".jsonl") for name in _files() if name.endswith(".jsonl")]
    others = {*RAW_STREAMS, *WORKLOAD_STREAMS}
    return [name for name in names if name not in others]


def first_run_records(name: str) -> list[dict[str, Any]]:
    """Give the records of a Debezium engine of the first run."""
    return _lines(name)


def debezium_messages(stream: str) -> list[tuple[int, int, bytes]]:
    """Give LSN, transaction ID and payload of what the engines read."""
    return _messages(_lines(stream, _DEBEZIUM))


@functools.cache
def recorded_catalogs() -> list[dict[int, TableCatalog]]:
    """Give the tables by OID after each part of the workload that the engines followed."""
    tables: dict[int, TableCatalog] = {}
    catalogs = []
    for part in _lines("catalogs", _DEBEZIUM):
        tables = {**tables, **{each["oid"]: _table(each) for each in part["tables"]}}
        catalogs.append(tables)
    return catalogs


def _table(content: dict[str, Any]) -> TableCatalog:
    key = content["primary_key"]
    content["primary_key"] = None if key is None else tuple(key)
    content["columns"] = tuple(CatalogColumn(**column) for column in content["columns"])
    content["unique_indexes"] = tuple(
        UniqueIndex(
            name=index["name"],
            columns=tuple(index["columns"]),
            included=tuple(index.get("included", ())),
            identifies=index.get("identifies", True),
        )
        for index in content["unique_indexes"]
    )
    content["types"] = {int(oid): _type(each) for oid, each in content["types"].items()}
    return TableCatalog(**content)


def _type(content: dict[str, Any]) -> CatalogType:
    content["labels"] = tuple(content["labels"])
    content["fields"] = tuple((name, oid) for name, oid in content["fields"])
    return CatalogType(**content)


def pg_types(folder: Folder = "") -> list[dict[str, Any]]:
    """Give the rows of ``pg_type`` that belong to the raw messages of a folder."""
    name = f"{folder}/pg_type.json" if folder else "pg_type.json"
    rows: list[dict[str, Any]] = json.loads(_files()[name])
    return rows
