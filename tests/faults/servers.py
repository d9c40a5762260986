"""Two servers: a primary and a standby that follows it, can fall behind, and takes over."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typing_extensions import LiteralString

from pglogical_cdc.cli.embedded import EmbeddedServer, StopMode
from pglogical_cdc.lsn import LSN
from tests.reading import wait_until
from tests.servers import SETTINGS, Server, find_binaries, run_binaries

__all__ = (
    "Cluster",
    "Standby",
    "configure",
    "execute",
    "run_cluster",
    "run_standby",
    "switch_tls_on",
)

_CERTIFICATE: Final = Path(__file__).parent / "tls"
"""A self-signed one of localhost for a hundred years, for tests and nothing else."""

_STANDBY_SETTINGS: Final = {
    # Both are for the slots that are synchronised, and harmless before there were any.
    "hot_standby_feedback": "on",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",
}


def execute(
    server: Server,
    query: LiteralString | sql.Composed,
    params: Sequence[object] | None = None,
    *,
    dbname: str = "postgres",
) -> list[tuple[Any, ...]]:
    """Run SQL on a connection of its own, in autocommit mode, and give the rows, if any."""
    with psycopg.connect(server.dsn(dbname), autocommit=True) as connection:
        cursor = connection.execute(query, params)
        return [] if cursor.description is None else cursor.fetchall()


def configure(server: Server, **settings: str | None) -> None:
    """Set parameters with ALTER SYSTEM, and wait until new connections have them; None: reset.

    Those that need a restart need one still.
    """
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        ((before,),) = connection.execute("SELECT clock_timestamp()").fetchall()
        for name, value in settings.items():
            if value is None:
                change = sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
            else:
                change = sql.SQL("ALTER SYSTEM SET {} = {}").format(
                    sql.Identifier(name), sql.Literal(value)
                )
            connection.execute(change)
        connection.execute("SELECT pg_reload_conf()")
    wait_until(lambda: execute(server, "SELECT pg_conf_load_time()")[0][0] > before)


def switch_tls_on(server: Server, dbname: str = "postgres") -> str:
    """Switch TLS on; give the connection string of a client that insists on it."""
    data = server.embedded.data
    owner = data.stat()
    for name in ("server.crt", "server.key"):
        shutil.copy(_CERTIFICATE / name, data / name)
        os.chmod(data / name, 0o600)
        os.chown(data / name, owner.st_uid, owner.st_gid)
    configure(server, ssl="on")
    dsn = make_conninfo(server.dsn(dbname), sslmode="require", gssencmode="disable")

    def is_on() -> bool:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(is_on)
    return dsn


class _CopiedServer(EmbeddedServer):
    """A server whose data begin as a copy of another one's, which it follows."""

    def __init__(self, primary: Server, name: str, settings: dict[str, str]) -> None:
        # Not with -R, which writes them where `Standby.cut_off` sets and `follow` resets them.
        self._source = _source(primary, name)
        self._name = name
        follow = {"primary_conninfo": self._source, "primary_slot_name": name}
        super().__init__(primary.embedded._binaries, settings={**follow, **settings})

    def _initialize(self) -> None:
        self._make_binaries_reachable()
        command = [str(self._binaries / "bin" / "pg_basebackup"), "-D", str(self.data)]
        command += ["-d", self._source, "-C", "-S", self._name]
        command += ["-X", "stream", "-c", "fast", "--no-sync", "--no-manifest"]
        if self._spawn(command).wait() != 0:
            raise self._failure("pg_basebackup failed")
        signal = self.data / "standby.signal"
        signal.touch()
        self._give(signal)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        # The module that receives WAL looks for libpq where the system has another one or none.
        libraries = f"LD_LIBRARY_PATH={self._binaries / 'lib'}"
        return super()._spawn(["/usr/bin/env", libraries, *command])


def _source(primary: Server, name: str) -> str:
    """Give the ``primary_conninfo``; slots are synchronised over a connection to a database."""
    return primary.dsn(application_name=name, sslmode="disable")


@dataclass(frozen=True)
class Standby:
    """A standby of a primary; after `promote` a primary itself."""

    primary: Server
    server: Server
    name: str
    """Its physical slot on the primary, and its name in ``pg_stat_replication``."""

    def dsn(self, dbname: str = "postgres", **params: str | int) -> str:
        """Give the connection string of a database."""
        return self.server.dsn(dbname, **params)

    def execute(
        self, query: LiteralString | sql.Composed, params: Sequence[object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL on the standby."""
        return execute(self.server, query, params)

    def configure(self, **settings: str | None) -> None:
        """Set parameters of the standby, as `configure` does."""
        configure(self.server, **settings)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start it; ``immediate`` is a crash."""
        self.server.embedded.restart(mode)

    @property
    def in_recovery(self) -> bool:
        """Whether it is a standby still."""
        ((answer,),) = self.execute("SELECT pg_is_in_recovery()")
        return bool(answer)

    @property
    def replayed(self) -> LSN:
        """How far it has replayed the primary's WAL."""
        ((lsn,),) = self.execute("SELECT pg_last_wal_replay_lsn()::text")
        return LSN.parse(lsn)

    def wait_for_replay(self, lsn: LSN | None = None, timeout: float = 30) -> None:
        """Wait until it has replayed up to an LSN; None: up to where the primary is now."""
        if lsn is None:
            ((text,),) = execute(self.primary, "SELECT pg_current_wal_flush_lsn()::text")
            lsn = LSN.parse(text)
        wait_until(lambda: self.replayed >= lsn, timeout)

    def pause_replay(self) -> None:
        """Stop replaying, as from the return on; what is received is kept.

        A promotion replays it first. `cut_off` keeps the standby from receiving it.
        """
        self.execute("SELECT pg_wal_replay_pause()")
        wait_until(lambda: self.execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    def resume_replay(self) -> None:
        """Replay again."""
        self.execute("SELECT pg_wal_replay_resume()")

    def cut_off(self) -> None:
        """Disconnect it from the primary: from the return on it receives nothing."""
        self.configure(primary_conninfo="")
        wait_until(lambda: not self.execute("SELECT pid FROM pg_stat_wal_receiver"))

    def follow(self, primary_conninfo: str | None = None) -> None:
        """Let it receive WAL again.

        Args:
            primary_conninfo: from where, for example through a proxy; None: from the primary.
        """
        self.configure(primary_conninfo=primary_conninfo)
        wait_until(
            lambda: self.execute("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)]
        )

    def promote(self, timeout: int = 60) -> None:
        """Make it a primary, which accepts writes from the return on."""
        ((done,),) = self.execute("SELECT pg_promote(true, %s)", [timeout])
        assert done, "the standby was not promoted in time"

    def has_slot(self, slot: str) -> bool:
        """Whether a slot of the primary would survive a promotion (17 and later)."""
        rows = self.execute(
            "SELECT synced AND NOT temporary AND invalidation_reason IS NULL"
            " FROM pg_replication_slots WHERE slot_name = %s",
            [slot],
        )
        return rows == [(True,)]

    def wait_for_slot(self, slot: str, timeout: float = 60, *, advance: bool = False) -> None:
        """Wait until a failover slot of the primary is here to stay (17 and later).

        A copied slot stays only when the primary's one has moved so far that the standby still has
        what it needs: after a snapshot of the running transactions, which the primary writes to
        the WAL every 15 seconds or, as here, when asked, somebody has to acknowledge something.
        That is a reader at work, a thread's for example, or this method. Without
        ``sync_replication_slots`` slots are copied on demand only, and it demands.

        Args:
            slot: its name.
            timeout: seconds.
            advance: move the slot, that nobody reads from, to where the primary is: what it has
                still to give is lost.
        """
        ((by_itself,),) = self.execute("SHOW sync_replication_slots")

        def is_here() -> bool:
            if self.has_slot(slot):
                return True
            execute(self.primary, "SELECT pg_log_standby_snapshot()")
            if advance:
                execute(
                    self.primary,
                    "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())",
                    [slot],
                )
            self.wait_for_replay()
            if by_itself == "off":
                self.sync_slots()
            return self.has_slot(slot)

        wait_until(is_here, timeout)

    def sync_slots(self) -> None:
        """Copy the primary's failover slots now (17 and later, if it is not done all the time)."""
        self.execute("SELECT pg_sync_replication_slots()")


@dataclass(frozen=True)
class Cluster:
    """A primary and its standby."""

    primary: Server
    standby: Standby

    def dsn(self, dbname: str = "postgres", **params: str | int) -> str:
        """Give a connection string with both hosts, the first primary first."""
        servers = (self.primary.embedded, self.standby.server.embedded)
        return make_conninfo(
            "",
            **{
                "host": "127.0.0.1,127.0.0.1",
                "port": ",".join(str(server.port) for server in servers),
                "user": "postgres",
                "dbname": dbname,
                **params,
            },
        )

    def execute(
        self, query: LiteralString | sql.Composed, params: Sequence[object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL on the first primary."""
        return execute(self.primary, query, params)

    def fail_over(self, mode: StopMode = "immediate") -> None:
        """End the primary and promote the standby; the primary may be started again later."""
        self.primary.embedded.stop(mode)
        self.standby.promote()


@contextlib.contextmanager
def run_standby(
    primary: Server, name: str = "standby", settings: dict[str, str] | None = None
) -> Iterator[Standby]:
    """Run a standby of a primary, which has to be there until it has been copied.

    Args:
        primary: a server of the test alone: the slot of the standby stays on it.
        name: of the standby and its slot.
        settings: for the standby's ``postgresql.conf``.
    """
    given = {**SETTINGS, **_STANDBY_SETTINGS, **(settings or {})}
    with _CopiedServer(primary, name, given) as embedded:
        yield Standby(primary, Server(embedded, primary.version), name)


@contextlib.contextmanager
def run_cluster(
    choice: str,
    *,
    primary_settings: dict[str, str] | None = None,
    standby_settings: dict[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run a primary and a standby of one of `tests.servers.CHOICES`.

    Args:
        choice: as of `tests.servers.find_binaries`.
        primary_settings: for the primary's ``postgresql.conf``. ``synchronized_standby_slots``
            waits for the slot ``standby``; it is better set by `configure` when that is there.
        standby_settings: for the standby's, for example ``sync_replication_slots``.
    """
    with (
        run_binaries(find_binaries(choice), **(primary_settings or {})) as primary,
        run_standby(primary, settings=standby_settings) as standby,
    ):
        yield Cluster(primary, standby)
