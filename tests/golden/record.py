"""Records what the real connector makes of the workload, under every configuration, in one run.

``python -m tests.golden.record`` (extra ``conformance``, a JDK) writes ``debezium.tar.xz`` anew:
for each configuration its records; the pgoutput messages of the same run; and the catalog after
each part of the workload, as the reader asks for it. README.md says what is in the files.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import psycopg
from psycopg import sql

from pglogical_cdc.events import TableCatalog
from pglogical_cdc.postgres import converse, published_tables
from tests.conformance.beside import SETTINGS, Engines, create_publications
from tests.conformance.java import prepare_java
from tests.conformance.script import run_script
from tests.golden import workload
from tests.golden.configurations import CONFIGURATIONS
from tests.servers import binaries_with_vector, run_binaries

__all__ = ("main",)

_HERE: Final = Path(__file__).parent
_STREAMS: Final = {"raw_pgoutput_v1": "dbz_pub", "raw_pgoutput_v1_root": "dbz_pub_root"}


def _record(dsn: str, configurations: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    errors = run_script(dsn, workload.schema())
    assert errors == [], errors
    create_publications(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for stream in _STREAMS:
            connection.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [stream]
            )
        catalogs = _Catalogs(connection)
        with Engines(prepare_java(), dsn, configurations, folder, snapshot_mode="initial") as run:
            for name, script in workload.parts():
                for error in run.run_part(name, script):
                    sys.stdout.write(f"{name}: {error}\n")
                catalogs.add(name)
        with (folder / "catalogs.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(part)}\n" for part in catalogs.parts)
        for stream, publication in _STREAMS.items():
            with (folder / f"{stream}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(_messages(connection, stream, publication))
            connection.execute("SELECT pg_drop_replication_slot(%s)", [stream])


class _Catalogs:
    """The tables that are not as they were after the part before."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._before: dict[int, TableCatalog] = {}
        self.parts: list[dict[str, Any]] = []

    def add(self, name: str) -> None:
        tables = converse(self._connection, published_tables(list(_STREAMS.values())))
        changed = [
            attrs.asdict(table) for oid, table in tables.items() if table != self._before.get(oid)
        ]
        self._before = tables
        self.parts.append({"part": name, "tables": changed})


def _messages(connection: psycopg.Connection[Any], stream: str, publication: str) -> Iterator[str]:
    query = sql.SQL(
        "SELECT lsn::text, xid::text, encode(data, 'hex') FROM "
        "pg_logical_slot_peek_binary_changes({}, NULL, NULL, 'proto_version', '1', "
        "'messages', 'true', 'publication_names', {})"
    ).format(sql.Literal(stream), sql.Literal(publication))
    for lsn, xid, data in connection.execute(query):
        yield f"{json.dumps({'lsn': lsn, 'xid': xid, 'hex': data})}\n"


def _pack(folder: Path, target: Path) -> None:
    with (
        lzma.open(target, "w", preset=9 | lzma.PRESET_EXTREME) as plain,
        tarfile.open(fileobj=plain, mode="w") as archive,
    ):
        for path in sorted(folder.glob("*.jsonl")):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def main() -> None:
    """Record, and replace the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=_HERE / "debezium.tar.xz")
    parser.add_argument("--only", default=",".join(CONFIGURATIONS), help="names, with commas")
    arguments = parser.parse_args()
    chosen = {name: CONFIGURATIONS[name] for name in arguments.only.split(",")}
    with (
        tempfile.TemporaryDirectory() as scratch,
        run_binaries(binaries_with_vector(), **SETTINGS) as server,
    ):
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE cap")
        _record(server.dsn("cap"), chosen, Path(scratch))
        _pack(Path(scratch), arguments.out)


if __name__ == "__main__":
    main()
