"""Signals: SIGTERM and Ctrl-C end a stream in order, and within a second in any case."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

__all__ = ("stopped_by_signals", "terminated_as_interrupted")

_PATIENCE: Final = 0.8
"""Seconds for the orderly end: a connection that hangs or a pipe that nobody reads may need more,
and what was not flushed by then comes again."""


class _Overdue(BaseException):
    """Ends what does not end by itself."""


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call `stop`, and leave the block if it is still running after that.

    The block is also left at once when a second signal comes. Main thread only.

    Args:
        stop: makes the block end soon, by itself.
    """
    stopping = False

    def on_stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            raise _Overdue
        stopping = True
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        stop()

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise _Overdue

    handlers = {signal.SIGINT: on_stop, signal.SIGTERM: on_stop, signal.SIGALRM: on_alarm}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except _Overdue:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def terminated_as_interrupted() -> None:
    """Let SIGTERM raise `KeyboardInterrupt` as SIGINT does, so that ``with`` blocks are left.

    SIGINT too, because shells start background jobs with SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
