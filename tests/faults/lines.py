"""The faults that are injected: a number and a name for each, and what has to happen."""

from __future__ import annotations

from typing import Final

__all__ = ("LINES", "NOT_YET")

LINES: Final = {
    1: ("server restart, `-m immediate` and `-m fast`", "goes on; a fast shutdown is not held up"),
    2: ("walsender terminated", "goes on"),
    3: ("black hole, stuck walsender", "noticed, goes on"),
    4: ("cut at any byte, also of start and authentication", "goes on, no half event"),
    5: ("loop body longer than `wal_sender_timeout`", "the connection is kept"),
    6: ("consumer slower than the server", "the server is held back, memory flat"),
    7: ("publication missing, dropped, made anew, empty", "`PublicationNotFoundError`"),
    8: ("publication altered", "goes on with what it publishes then"),
    9: ("table dropped, renamed, made anew before its changes are read", "goes on"),
    10: ("columns, types and enum values changed or gone", "decoded or text, never an exception"),
    11: ("slot invalidated by WAL limit or idle timeout", "`SlotInvalidatedError`"),
    12: ("slot dropped and made anew", "`SlotGapError`"),
    13: ("slot moved by somebody", "`SlotGapError`"),
    14: ("another cluster, a restored backup", "`SystemMismatchError`, `TimelineDivergedError`"),
    15: ("slot in use elsewhere", "`SlotInUseError` with the PID; one of two wins"),
    16: ("failover to a standby with the slot", "goes on"),
    17: ("failover to a standby behind the reader", "`TimelineDivergedError` with the range"),
    18: ("decoding on a standby that is promoted", "goes on"),
    19: (
        "transaction that cannot be decoded",
        "three attempts, `DecodingFailedError`, a way past it",
    ),
    20: ("huge transaction", "memory flat"),
    21: ("huge row", "read, or `MessageTooLargeError`"),
    22: ("malformed bytes", "`ProtocolError`"),
    23: ("clocks that differ or jump", "order and timers not affected"),
    24: ("consumer killed (`kill -9`)", "no gap; exactly once with a transactional sink"),
    25: ("disk full in sink or store", "the error is raised, nothing acknowledged, the file whole"),
    26: ("stored position corrupt, empty, of another slot", "typed error"),
    27: ("delivery repeated", "the same positions"),
    28: ("transactions among each other in the WAL", "all of them, in commit order"),
    29: ("idle table beside a busy database", "the slot moves on"),
    30: ("acknowledgement before, after, never", "the slot never moves back or too far"),
    31: ("Ctrl-C, SIGTERM, cancellation in every state", "ends within a second"),
    32: ("slot creation held up by a transaction", "can be ended, nothing left behind"),
    33: ("name, authentication, privileges, no free walsender", "retried or raised, by class"),
    34: ("server upgrade under the reader", "goes on, or `SystemMismatchError`"),
    36: ("use by a second thread or a forked process", "`ConfigurationError`"),
    37: ("stray Stream Abort of PostgreSQL 18", "ignored"),
}
"""By number; the numbers are those of the marker ``fault``."""

NOT_YET: Final = {
    35: "prepared transactions over a restart: protocol version 3 in the reader",
    38: "aborted sub-transactions of streamed transactions: protocol version 2 in the reader",
}
"""What needs more of the protocol than the reader speaks."""
