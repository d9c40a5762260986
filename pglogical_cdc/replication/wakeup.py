"""Wakeup: wait for a socket, or for somebody who wants the waiting to end."""

from __future__ import annotations

import os
import select
import threading

__all__ = ("Wakeup",)


class Wakeup:
    """A wait that another thread or a signal handler can end (the self-pipe trick).

    Args:
        socket: file descriptor to wait on.
    """

    def __init__(self, socket: int) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._poll = select.poll()
        self._poll.register(self._read_end, select.POLLIN)
        self._poll.register(socket, select.POLLIN)
        self._closing = threading.RLock()
        self._closed = False

    def wake(self) -> None:
        """End the wait that is going on, or the next one. Safe in a signal handler."""
        # Not after close: the descriptor may belong to somebody else by then. Reentrant, because
        # a signal handler may come while its own thread is in here.
        with self._closing:
            if not self._closed:
                try:
                    os.write(self._write_end, b"\0")
                except BlockingIOError:
                    pass  # the pipe is full of wake-ups

    def wait(self, seconds: float) -> bool:
        """Wait until the socket has something to read; tell whether it has."""
        readable = False
        for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000):
            if descriptor == self._read_end:
                os.read(self._read_end, 4096)
            else:
                readable = True
        return readable

    def close(self) -> None:
        """Release the pipe; `wake` does nothing any more."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.close(self._read_end)
                os.close(self._write_end)
