"""The peers: other programs that read the same backlog, each in a process of its own.

`PEERS` read from a server, `PARSER` decodes messages that are in a file. What cannot be installed
raises `MissingPeerError` in ``prepare``, and is to be named as missing.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.debezium import DebeziumEngine
from benchmarks.peers.libraries import PgoutputDecoder, Psycopg2, Pypgoutput
from benchmarks.peers.payloads import read_payloads, write_payloads
from benchmarks.peers.peer import Peer
from benchmarks.peers.psql import PsqlCopy
from benchmarks.peers.recvlogical import PgRecvlogical

__all__ = (
    "PARSER",
    "PEERS",
    "DebeziumEngine",
    "Peer",
    "PgRecvlogical",
    "PgoutputDecoder",
    "PsqlCopy",
    "Psycopg2",
    "Pypgoutput",
    "read_payloads",
    "write_payloads",
)

PEERS: Final[tuple[Peer, ...]] = (
    PgRecvlogical(),
    DebeziumEngine(),
    PgoutputDecoder(),
    Psycopg2(),
)

PARSER: Final = Pypgoutput()
