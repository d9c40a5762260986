"""The live status on standard error: changes per second, lag, position; bars of a snapshot."""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.text import Text
from typing_extensions import Buffer

from pglogical_cdc.cli.snapshot_bars import snapshot_bars
from pglogical_cdc.replication import ReaderStats

__all__ = ("AboveStatus", "StatusDisplay", "live_status")

_WINDOW: Final = 5.0
"""Seconds over which the rate is measured."""

_PER_SECOND: Final = 4
"""How often the status is drawn."""


class StatusDisplay:
    """Shows a reader's statistics: while a snapshot is read its bars, else the line of the stream.

    Args:
        stats: asked each time.
        clock: seconds, growing.
    """

    def __init__(
        self, stats: Callable[[], ReaderStats], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stats = stats
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def renderable(self) -> RenderableType:
        """Return what is to be seen now."""
        stats = self._stats()
        if stats.snapshot is not None and stats.snapshot.table is not None:
            return snapshot_bars(stats.snapshot)
        return self._line(stats)

    def _line(self, stats: ReaderStats) -> Text:
        now = self._clock()
        seen = self._seen
        seen.append((now, stats.changes))
        while len(seen) > 2 and now - seen[1][0] >= _WINDOW:
            seen.popleft()
        since, changes = seen[0]
        rate = (stats.changes - changes) / (now - since) if now > since else 0.0
        return Text.assemble(
            (f"{rate:,.0f} changes/s", "bold green"),
            f" | {stats.changes:,} changes in {stats.transactions:,} transactions | lag ",
            (decimal(stats.lag_bytes), "yellow" if stats.lag_bytes else "green"),
            f" | at {stats.received_lsn}, acknowledged {stats.acknowledged_lsn}",
            overflow="ellipsis",
            no_wrap=True,
        )


@contextlib.contextmanager
def live_status(display: StatusDisplay, console: Console) -> Iterator[None]:
    """Keep the status on the console's last rows while the block runs, and remove it then."""
    live = Live(
        console=console,
        get_renderable=display.renderable,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield


class AboveStatus(io.RawIOBase):
    """A raw stream that prints above the status, where both are on one terminal.

    Args:
        console: the console of the status.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._rest = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Print the lines that are complete."""
        content = bytes(data)
        whole, end, self._rest = (self._rest + content).rpartition(b"\n")
        if end:
            text = Text(whole.decode("utf-8", "replace"))
            self._console.print(text, soft_wrap=True)
        return len(content)
