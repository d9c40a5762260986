"""A plain writer of Debezium's JSON for the standard table, to compare our output with.

It shares nothing with `pglogical_cdc`: messages are taken apart with `struct` as the PostgreSQL
manual has them ("Logical Replication Message Formats"), rows are dicts, and `json` writes them in
the form that Debezium's documentation of the PostgreSQL connector gives ("Data change events",
"Data type mappings"). It knows the eight types of the standard table, replica identity DEFAULT,
and what Debezium writes without snapshot and with its default options.

``python -m benchmarks.reference JOB`` prints the digest of a backlog's records; ``JOB`` is the JSON
of a `Job`.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmarks.digest import Digest
from benchmarks.peeked import peeked_payloads
from benchmarks.runs import Job

__all__ = ("ReferenceWriter", "digest_of")

PREFIX: Final = "bench"

_POSTGRESQL_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970-01-01."""

Written: TypeAlias = tuple[str, bytes, bytes | None]
"""Topic, key and value of a record."""


def _decimal(text: str) -> str:
    """Two digits behind the point, as the two's complement of the number of hundredths."""
    unscaled = int(text.replace(".", ""))
    length = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return base64.b64encode(unscaled.to_bytes(length, "big", signed=True)).decode()


def _zoned(text: str) -> str:
    moment = datetime.fromisoformat(f"{text}:00").astimezone(timezone.utc)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


_FROM_TEXT: Final[dict[int, Callable[[str], object]]] = {
    16: lambda text: text == "t",
    20: int,
    23: int,
    25: str,
    1184: _zoned,
    1700: _decimal,
    2950: str,
    3802: str,
}
"""By the OID of the type."""


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


class _Table:
    """A Relation message."""

    def __init__(self, payload: bytes) -> None:
        schema, table, rest = payload[5:].split(b"\0", 2)
        self.schema, self.name = schema.decode(), table.decode()
        (count,) = struct.unpack_from(">h", rest, 1)
        self.columns: list[tuple[str, Callable[[str], object]]] = []
        self.key: list[str] = []
        at = 3
        for _ in range(count):
            end = rest.index(b"\0", at + 1)
            name = rest[at + 1 : end].decode()
            oid, _modifier = struct.unpack_from(">Ii", rest, end + 1)
            self.columns.append((name, _FROM_TEXT[oid]))
            if rest[at] & 1:
                self.key.append(name)
            at = end + 9

    def row(self, payload: bytes, at: int) -> tuple[dict[str, Any], int]:
        """Read a TupleData; return the row, and where it ends."""
        at += 2
        row: dict[str, Any] = {}
        for name, from_text in self.columns:
            kind = payload[at : at + 1]
            at += 1
            if kind == b"n":
                row[name] = None
                continue
            assert kind == b"t", kind
            (length,) = struct.unpack_from(">i", payload, at)
            at += 4
            row[name] = from_text(payload[at : at + length].decode())
            at += length
        return row, at


class ReferenceWriter:
    """Writes the records of a stream that begins before a transaction."""

    def __init__(self, database: str, clock: int) -> None:
        """Begin a stream.

        Args:
            database: name in every record.
            clock: nanoseconds since 1970-01-01 in every record.
        """
        self._database = database
        self._clock = clock
        self._tables: dict[int, _Table] = {}
        self._xid = self._committed_at = 0
        self._last_commit: int | None = None

    def write(self, lsn: int, payload: bytes) -> list[Written]:
        """Return the records of one message."""
        kind = payload[:1]
        if kind == b"B":
            _final, time, self._xid = struct.unpack_from(">QqI", payload, 1)
            self._committed_at = time + _POSTGRESQL_EPOCH
        elif kind == b"C":
            _commit, self._last_commit = struct.unpack_from(">QQ", payload, 2)
        elif kind == b"R":
            (oid,) = struct.unpack_from(">I", payload, 1)
            self._tables[oid] = _Table(payload)
        elif kind in (b"I", b"U", b"D"):
            return self._change(kind, lsn, payload)
        else:
            raise ValueError(f"no message of the standard backlog: {kind!r}")
        return []

    def _change(self, kind: bytes, lsn: int, payload: bytes) -> list[Written]:
        (oid,) = struct.unpack_from(">I", payload, 1)
        table = self._tables[oid]
        tuple_kind = payload[5:6]
        row, end = table.row(payload, 6)
        # An old tuple comes only where the key was changed, which no update does here.
        assert tuple_kind == (b"K" if kind == b"D" else b"N")
        assert end == len(payload)
        topic = f"{PREFIX}.{table.schema}.{table.name}"
        key = _json({name: row[name] for name in table.key})
        before, after = (row, None) if kind == b"D" else (None, row)
        op = {b"I": "c", b"U": "u", b"D": "d"}[kind]
        value = {
            "before": before,
            "after": after,
            "source": self._source(table, lsn),
            "transaction": None,
            "op": op,
            "ts_ms": self._clock // 1_000_000,
            "ts_us": self._clock // 1000,
            "ts_ns": self._clock,
        }
        records: list[Written] = [(topic, key, _json(value))]
        if kind == b"D":
            records.append((topic, key, None))
        return records

    def _source(self, table: _Table, lsn: int) -> dict[str, object]:
        last = self._last_commit
        return {
            "version": "3.6.3.Final",
            "connector": "postgresql",
            "name": PREFIX,
            "ts_ms": self._committed_at // 1000,
            "snapshot": "false",
            "db": self._database,
            "sequence": json.dumps(
                [None if last is None else str(last), str(lsn)], separators=(",", ":")
            ),
            "ts_us": self._committed_at,
            "ts_ns": self._committed_at * 1000,
            "schema": table.schema,
            "table": table.name,
            "txId": self._xid,
            "lsn": lsn,
            "xmin": None,
            "origin": None,
            "origin_lsn": None,
        }


def _records(
    payloads: Iterable[tuple[int, bytes]], database: str, clock: int
) -> Iterator[list[Written]]:
    writer = ReferenceWriter(database, clock)
    for lsn, payload in payloads:
        yield writer.write(lsn, payload)


def digest_of(job: Job, database: str, clock: int) -> str:
    """Return the digest of the records of a backlog."""
    digest = Digest()
    for records in _records(peeked_payloads(job), database, clock):
        for topic, key, value in records:
            digest.add(topic.encode(), key, value)
    return digest.hex()


def _main(given: str, database: str, clock: str) -> None:
    fields = json.loads(given)
    print(digest_of(Job(**{**fields, "binaries": Path(fields["binaries"])}), database, int(clock)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
