"""What the tests of I/O over a flavour have in common."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import psycopg

from pglogical_cdc.postgres import connection
from pglogical_cdc.postgres.asynchronous import Asynchronous
from pglogical_cdc.postgres.blocking import Blocking, run
from pglogical_cdc.postgres.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from pglogical_cdc.postgres.flavour import AnyConnection, Flavour

__all__ = ("FLAVOURS", "connect", "connect_beside", "drive", "silent_server")

T = TypeVar("T")

FLAVOURS: Final[tuple[type[Flavour], ...]] = (Blocking, Asynchronous)


def drive(kind: type[Flavour], what: Callable[[Flavour], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function over a new flavour of this kind, as its programs would."""
    flavour = kind()
    try:
        return run(what(flavour)) if kind is Blocking else asyncio.run(what(flavour))
    finally:
        flavour.close()


def connect(given: Parameters) -> psycopg.Connection[Any]:
    """Open a replication connection that blocks."""
    return _blocking(lambda flavour: connection.connect(given, flavour))


def connect_beside(given: Parameters, main: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Open an ordinary connection that blocks, beside another."""
    return _blocking(lambda flavour: connection.connect_beside(given, main, flavour))


def _blocking(
    connecting: Callable[[Flavour], Coroutine[Any, Any, AnyConnection]],
) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", drive(Blocking, connecting))


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[socket.socket, Parameters]]:
    """A socket that takes connections and never says a word, and how to connect to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        yield listening, Parameters(host="127.0.0.1", port=port, user="u")
