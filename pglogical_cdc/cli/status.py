"""The live status line on standard error: changes per second, lag, position."""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.live import Live
from rich.text import Text
from typing_extensions import Buffer

from pglogical_cdc.replication import ReaderStats

__all__ = ("AboveStatus", "StatusLine", "live_status")

_WINDOW: Final = 5.0
"""Seconds over which the rate is measured."""

_PER_SECOND: Final = 4
"""How often the line is drawn."""


class StatusLine:
    """Makes the text of the line from a reader's statistics.

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

    def text(self) -> Text:
        """Return the line as of now."""
        stats, now = self._stats(), self._clock()
        seen = self._seen
        seen.append((now, stats.changes))
        while len(seen) > 2 and now - seen[1][0] >= _WINDOW:
            seen.popleft()
        since, changes = seen[0]
        rate = (stats.changes - changes) / (now - since) if now > since else 0.0
        reading = stats.snapshot
        if reading is not None and reading.table is not None:
            left = reading.seconds_left
            return Text.assemble(
                (f"{rate:,.0f} rows/s", "bold green"),
                f" | snapshot: {reading.table} ({reading.tables_read + 1} of {reading.tables})"
                f" | {reading.rows:,} rows, {decimal(reading.bytes)}",
                "" if left is None else f" | {timedelta(seconds=round(left))} left",
                overflow="ellipsis",
                no_wrap=True,
            )
        return Text.assemble(
            (f"{rate:,.0f} changes/s", "bold green"),
            f" | {stats.changes:,} changes in {stats.transactions:,} transactions | lag ",
            (decimal(stats.lag_bytes), "yellow" if stats.lag_bytes else "green"),
            f" | at {stats.received_lsn}, acknowledged {stats.acknowledged_lsn}",
            overflow="ellipsis",
            no_wrap=True,
        )


@contextlib.contextmanager
def live_status(line: StatusLine, console: Console) -> Iterator[None]:
    """Keep the line on the console's last row while the block runs, and remove it then."""
    live = Live(
        console=console,
        get_renderable=line.text,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield


class AboveStatus(io.RawIOBase):
    """A raw stream that prints above the status line, where both are on one terminal.

    Args:
        console: the console of the status line.
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
