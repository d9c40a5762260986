"""A server of MongoDB's protocol for the tests, and a database for one test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from pglogical_cdc.cli.embedded import _free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

__all__ = ("MongoServer", "mongo", "mongo_server", "private_mongo_server")

_PROGRAM: Final = Path(__file__).with_name("unprivileged.py")
_WATCH: Final = 'read -r line || { kill -9 "$1"; rm -rf -- "$2"; }'
"""Ends a server whose test run was killed, when the pipe from it closes."""


class MongoServer:
    """A server on the local machine, with its files in a temporary folder; never as root."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="pglogical-cdc-"))
        self._log = self._directory / "log"
        if os.geteuid() == 0:
            shutil.chown(self._directory, "nobody")
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    def url(self, **options: str | int) -> str:
        """Give the connection string, with further options."""
        address = f"mongodb://127.0.0.1:{self._port}/"
        return address + "?" + "&".join(f"{name}={value}" for name, value in options.items())

    def start(self) -> None:
        """Start the server, on the files that it has, and wait until it answers."""
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, str(_PROGRAM), "--port", str(self._port)),
                    *("--log-level", "WARNING"),
                    *("--storage-path", str(self._directory / "data")),
                    *("--enable-test-commands", "--sync-on-commit"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={"HOME": str(self._directory), "PATH": os.environ["PATH"]},
                umask=0o077,
                start_new_session=True,
            )
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "sh", str(self._server.pid), str(self._directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End the server without a chance to tidy up; `start` goes on with its files."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        if self._watch is not None:
            self._watch.communicate(b"\n")
        self._server = self._watch = None

    def close(self) -> None:
        """Kill the server and remove its files."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def fail(self, *commands: str, times: int) -> None:
        """Close the connection when one of the commands comes, so many times."""
        with MongoClient[Any](self.url()) as client:
            client.admin.command(
                {
                    "configureFailPoint": "failCommand",
                    "mode": {"times": times} if times else "off",
                    "data": {"failCommands": list(commands), "closeConnection": True},
                }
            )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 30
        with MongoClient[Any](self.url(serverSelectionTimeoutMS=200)) as client:
            while True:
                try:
                    client.admin.command("ping")
                except PyMongoError:
                    assert self._server is not None
                    if self._server.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"the server does not start: {self._log.read_text()[-2000:]}")
                else:
                    return


@contextlib.contextmanager
def _running() -> Iterator[MongoServer]:
    server = MongoServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer]:
    """A server that the tests share."""
    with _running() as server:
        yield server


@pytest.fixture
def private_mongo_server() -> Iterator[MongoServer]:
    """A server of one test, which may kill it or let commands fail."""
    with _running() as server:
        yield server


@pytest.fixture
def mongo(mongo_server: MongoServer) -> Iterator[Database[dict[str, Any]]]:
    """An empty database on the shared server, of a client that the test may use too."""
    options = CodecOptions[dict[str, Any]](
        tz_aware=True, uuid_representation=UuidRepresentation.STANDARD
    )
    with MongoClient[dict[str, Any]](mongo_server.url()) as client:
        yield client.get_database(f"test_{uuid.uuid4().hex[:12]}", codec_options=options)
