"""The server itself: which one it is, where it stands, how it is set."""

from __future__ import annotations

from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.conversation import Conversation, Verbatim

__all__ = (
    "Server",
    "current_lsn",
    "flush_wal",
    "identify",
    "set_client_encoding",
    "timeline_ends",
    "written_timeline",
)


@record
class Server:
    """What a logical replication connection has reached."""

    system_identifier: str
    timeline: int
    position: LSN
    """Flush position of a primary, replay position of a standby."""
    in_recovery: bool
    """Whether it is a standby."""
    database: str
    version: int
    """``server_version_num``: 180006 is 18.6."""
    encoding: str
    """``server_encoding`` of the database; with ``SQL_ASCII`` any bytes can be in it."""
    wal_sender_timeout: float
    """Seconds after which a silent client is dropped; 0 for never."""

    @property
    def client_encoding(self) -> str:
        """The encoding in which rows are read.

        A database in ``SQL_ASCII`` takes any bytes. To a UTF8 client the server would refuse to
        send those that are not UTF-8, for ever; so they come as they are.
        """
        return "SQL_ASCII" if self.encoding == "SQL_ASCII" else "UTF8"


def identify() -> Conversation[Server]:
    """Ask the server who it is; needs a replication connection.

    Raises:
        ConfigurationError: ``wal_level`` is not ``logical``.
    """
    # Whether it is a standby first: one that takes over in between is still taken for one.
    rows = yield sql.SQL(
        "SELECT name, setting FROM pg_catalog.pg_settings"
        " WHERE name IN ('server_version_num', 'wal_level', 'wal_sender_timeout',"
        " 'server_encoding')"
        " UNION ALL SELECT 'in_recovery', pg_catalog.pg_is_in_recovery()::text"
    )
    settings: dict[str, str] = dict(rows)
    if settings["wal_level"] != "logical":
        raise ConfigurationError(
            f"wal_level is {settings['wal_level']!r}: set it to 'logical' and restart the server "
            "(RDS, Aurora: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)"
        )
    ((system, timeline, position, database),) = yield sql.SQL("IDENTIFY_SYSTEM")
    return Server(
        system_identifier=str(system),
        timeline=int(timeline),
        position=LSN.parse(position),
        in_recovery=settings["in_recovery"] == "true",
        database=str(database),
        version=int(settings["server_version_num"]),
        encoding=settings["server_encoding"],
        wal_sender_timeout=int(settings["wal_sender_timeout"]) / 1000,
    )


def current_lsn() -> Conversation[LSN]:
    """Return the flush position of a primary, or the replay position of a standby."""
    ((position,),) = yield sql.SQL(
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_last_wal_replay_lsn()"
        " ELSE pg_catalog.pg_current_wal_flush_lsn() END::text"
    )
    return LSN.parse(position)


def flush_wal() -> Conversation[None]:
    """Have a primary write and flush a record, so that no flush position is inside one for long.

    The record is the commit of a transaction that has an ID and did nothing. The WAL writer
    flushes it, within ``wal_writer_delay``.
    """
    yield sql.SQL(
        "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_current_xact_id() END"
    )


def timeline_ends(timeline: int) -> Conversation[dict[int, LSN]]:
    """Return where each of the timelines before this one ended; needs a replication connection.

    A line of a history file names a timeline and the position up to which it is history
    (PostgreSQL manual, "Streaming Replication Protocol", TIMELINE_HISTORY; "Timelines").
    """
    if timeline == 1:
        return {}
    # Past psycopg's loaders: up to PostgreSQL 14 the content is said to be bytea, and is not.
    ((_, content),) = yield Verbatim(sql.SQL(f"TIMELINE_HISTORY {timeline:d}"))
    ends: dict[int, LSN] = {}
    for line in content.value.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit():
            ends[int(words[0])] = LSN.parse(words[1])
    return ends


def written_timeline() -> Conversation[int | None]:
    """Return the timeline on which a primary writes; None of a standby."""
    ((name,),) = yield sql.SQL(
        "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END"
    )
    return None if name is None else int(name[:8], 16)


def set_client_encoding(encoding: str, *, local: bool = False) -> Conversation[None]:
    """Set the encoding in which the server sends text from now on.

    Args:
        encoding: its name.
        local: whether only until the end of the transaction.
    """
    yield sql.SQL("SET {}client_encoding TO {}").format(
        sql.SQL("LOCAL " if local else ""), sql.Literal(encoding)
    )
