"""A TCP proxy on the local machine that does to a connection what networks do."""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import struct
import termios
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typing_extensions import Self

from pglogical_cdc.cli.embedded import _free_port

__all__ = ("Proxy",)

T = TypeVar("T")

_CHUNK: Final = 1 << 16

_TICK: Final = 0.02
"""Seconds that one piece takes at a limited rate."""

_COMMAND_TIMEOUT: Final = 20.0
"""Seconds in which the thread answers, or something is badly wrong with it."""


@dataclass(eq=False)
class _Link:
    """A client's connection, and the one that it was given to the server."""

    client: socket.socket
    server: socket.socket | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    free_at: float = 0.0
    """When the next piece may go, at a limited rate."""


@dataclass(eq=False)
class _Budget:
    """How many bytes may still come from the server before something happens."""

    left: int
    action: Callable[[], None]
    reset: bool


class Proxy:
    """Forwards connections to a server, in a thread of its own, until told to do worse.

    Every method may be called from any thread while it runs, and what it orders is in force when
    it returns. Orders stand until they are taken back; those with a number of bytes happen once.

    What is under way is bounded (some 64 KiB each in the proxy and in its sockets' buffers), so a
    client that does not read slows its server. A server that cannot be reached looks to clients
    like one that accepts and resets.

    Attributes:
        host: where it listens.
        port: the same through `refuse` and `accept`, and outside the ports of outgoing connections.
        connections: how many were accepted.
        bytes_from_server: how many were forwarded to clients, of all connections.
        cuts: how many connections it has cut.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """Choose the server; nothing listens before the ``with`` block."""
        self.host: Final = "127.0.0.1"
        self.port: Final = _free_port()
        self.connections = 0
        self.bytes_from_server = 0
        self.cuts = 0
        self._target = (host, port)
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._listener: socket.socket | None = None
        self._links: set[_Link] = set()
        self._silent = False
        self._fragment: int | None = None
        self._delay = 0.0
        self._limit: float | None = None
        self._budget: _Budget | None = None
        self._next_budget: tuple[int, bool] | None = None
        self._happened = threading.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self.accept()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Proxy from port {self.port} to {self._target[1]}>"

    def close(self) -> None:
        """Cut everything and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(_COMMAND_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_COMMAND_TIMEOUT)
        self._loop.close()

    def dsn(self, dsn: str, **params: str | int) -> str:
        """Rewrite a connection string so that it leads through here, in clear text.

        Args:
            dsn: a libpq connection string or URI; its hosts and ports are dropped.
            params: further libpq parameters.
        """
        parts = conninfo_to_dict(dsn)
        parts.pop("hostaddr", None)
        parts |= {"host": self.host, "port": self.port}
        parts |= {"sslmode": "disable", "gssencmode": "disable", **params}
        return make_conninfo("", **parts)

    @property
    def open_connections(self) -> int:
        """How many connections are open here, silent ones too."""
        return len(self._links)

    # -- faults

    def cut(self, *, rst: bool = False) -> None:
        """End every connection.

        Args:
            rst: with RST, and what is under way is lost; else with FIN.
        """
        self._order(lambda: self._cut(reset=rst))

    def cut_after(self, size: int, *, rst: bool = False) -> None:
        """End every connection once so many bytes have come from the server, counted from now.

        Clients get exactly these bytes, all of them together. A later order replaces this one.
        """
        self._after(size, lambda: self._cut(reset=rst), reset=rst)

    def cut_next_after(self, size: int, *, rst: bool = False) -> None:
        """End the next connection once it has got so many bytes from the server; 0: at once.

        The connections after it are not concerned.
        """

        def set_it() -> None:
            self._next_budget = (size, rst)
            self._happened.clear()

        self._order(set_it)

    def black_hole(self) -> None:
        """Forward nothing any more, without closing anything.

        New connections are accepted and never answered. What clients send is still acknowledged
        by the system up to the size of its buffers, so ``tcp_user_timeout`` does not help them.
        """
        self._order(self._fall_silent)

    def black_hole_after(self, size: int) -> None:
        """Do `black_hole` once so many bytes have come from the server, counted from now."""
        self._after(size, self._fall_silent, reset=False)

    def wait(self, timeout: float = 20.0) -> None:
        """Wait until the last order with a number of bytes has been carried out."""
        assert self._happened.wait(timeout), "so many bytes did not come in time"

    def restore(self) -> None:
        """End `black_hole` for new connections; those that it met stay silent for ever."""

        def restore() -> None:
            self._silent = False

        self._order(restore)

    def refuse(self) -> None:
        """Close the listening socket: who connects is refused. Connections live on."""
        self._order(self._unlisten)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._order(self._listen)

    def move(self, host: str, port: int) -> None:
        """Cut every connection, and lead new ones to another server: a name has changed."""

        def move() -> None:
            self._target = (host, port)
            self._cut(reset=False)

        self._order(move)

    # -- slowness

    def fragment(self, size: int | None) -> None:
        """Forward what comes from the server in pieces of so many bytes; None: as it comes.

        A client that is slower than the proxy still finds several of them at a time.
        """

        def set_it() -> None:
            self._fragment = size

        self._order(set_it)

    def delay(self, seconds: float) -> None:
        """Hold back what comes, from both sides, for so long; at most 64 KiB come in that time."""

        def set_it() -> None:
            self._delay = seconds

        self._order(set_it)

    def limit(self, bytes_per_second: float | None) -> None:
        """Forward to each client no more than so much; None: no limit."""

        def set_it() -> None:
            self._limit = bytes_per_second

        self._order(set_it)

    # -- orders, carried out by the thread

    def _order(self, order: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def carry_out() -> None:
            try:
                done.set_result(order())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(carry_out)
        return done.result(_COMMAND_TIMEOUT)

    def _after(self, size: int, action: Callable[[], None], *, reset: bool) -> None:
        def act() -> None:
            action()
            self._happened.set()

        def set_it() -> None:
            self._happened.clear()
            self._budget = _Budget(size, act, reset)
            if size <= 0:
                act()

        self._order(set_it)

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = _socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(100)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._loop.add_reader(listener, self._take)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _take(self) -> None:
        """Take a connection that waits at the listening socket."""
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:  # it has gone again
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        link = _Link(client)
        self._links.add(link)
        if self._silent:
            return
        own: _Budget | None = None
        if self._next_budget is not None:
            (size, reset), self._next_budget = self._next_budget, None

            def cut_it() -> None:
                self.cuts += 1
                self._end(link, reset=reset)
                self._happened.set()

            if size <= 0:
                cut_it()
                return
            own = _Budget(size, cut_it, reset)
        link.tasks.append(self._loop.create_task(self._serve(link, own)))

    def _cut(self, *, reset: bool) -> None:
        self._budget = None
        self.cuts += len(self._links)
        for link in list(self._links):
            self._end(link, reset=reset)

    def _fall_silent(self) -> None:
        self._budget = None
        self._silent = True
        for link in self._links:
            for task in link.tasks:
                task.cancel()

    def _end(self, link: _Link, *, reset: bool) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        for task in link.tasks:
            task.cancel()
        for end in (link.client, link.server):
            if end is None:
                continue
            # The tasks would do it only later, when another socket may have the number.
            self._loop.remove_reader(end)
            self._loop.remove_writer(end)
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end is link.client:
                _drain(end)
            end.close()
        if self._budget is not None and self._budget.left <= 0:
            # This was the connection that took the last bytes, and went before it had them all.
            self._budget.action()

    async def _finish(self) -> None:
        self._unlisten()
        self._budget = None
        for link in list(self._links):
            self._end(link, reset=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # -- forwarding

    async def _serve(self, link: _Link, own: _Budget | None) -> None:
        server = link.server = _socket()
        try:
            await self._loop.sock_connect(server, self._target)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            both = (
                self._loop.create_task(self._forward(link, link.client, server)),
                self._loop.create_task(self._deliver(link, server, own)),
            )
            link.tasks.extend(both)
            await asyncio.gather(*both)
        except OSError as error:
            self._end(link, reset=isinstance(error, ConnectionError))
        else:
            self._end(link, reset=False)

    async def _forward(self, link: _Link, client: socket.socket, server: socket.socket) -> None:
        """From the client to the server."""
        while data := await self._loop.sock_recv(client, _CHUNK):
            await asyncio.sleep(self._delay)
            await self._loop.sock_sendall(server, data)
        server.shutdown(socket.SHUT_WR)

    async def _deliver(self, link: _Link, server: socket.socket, own: _Budget | None) -> None:
        """From the server to the client."""
        while data := await self._loop.sock_recv(server, _CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            view = memoryview(data)
            while view:
                # Neither call below waits when it need not, so others get their turn here.
                await asyncio.sleep(self._wait(link))
                budgets = [budget for budget in (self._budget, own) if budget is not None]
                piece = view[: self._piece(len(view), budgets)]
                if not piece:  # somebody else has the last bytes, and is about to end us
                    await asyncio.sleep(_TICK)
                    continue
                for budget in budgets:
                    budget.left -= len(piece)
                await self._loop.sock_sendall(link.client, piece)
                self.bytes_from_server += len(piece)
                view = view[len(piece) :]
                if self._limit is not None:
                    link.free_at = max(link.free_at, self._loop.time()) + len(piece) / self._limit
                for budget in budgets:
                    if budget.left <= 0 and (budget is own or budget is self._budget):
                        if budget.reset:
                            await self._acknowledged(link.client)
                        budget.action()
                        return
        link.client.shutdown(socket.SHUT_WR)

    def _wait(self, link: _Link) -> float:
        return 0.0 if self._limit is None else max(0.0, link.free_at - self._loop.time())

    def _piece(self, size: int, budgets: list[_Budget]) -> int:
        sizes = [size, *(budget.left for budget in budgets)]
        if self._fragment is not None:
            sizes.append(self._fragment)
        if self._limit is not None:
            sizes.append(max(1, int(self._limit * _TICK)))
        return min(sizes)

    async def _acknowledged(self, end: socket.socket) -> None:
        """Wait until the other side has got everything, which a RST would destroy."""
        deadline = self._loop.time() + 1
        count = array.array("i", [1])
        while count[0] and self._loop.time() < deadline:
            fcntl.ioctl(end, termios.TIOCOUTQ, count)
            await asyncio.sleep(0.001)


def _socket() -> socket.socket:
    """Make a socket with buffers of a size that the system does not change; children have them."""
    made = socket.socket()
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, _CHUNK)
    return made


def _drain(end: socket.socket) -> None:
    """Read what is there: closing a socket with unread data sends RST and not FIN."""
    try:
        for _ in range(64):
            if not end.recv(_CHUNK):
                return
    except OSError:
        pass
