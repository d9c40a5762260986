"""Lines of the package's log on standard error: warnings, and how far a snapshot is."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Final

from rich.console import Console

from pglogical_cdc.cli.status import AboveStatus

__all__ = ("log_lines",)

_PACKAGE: Final = logging.getLogger("pglogical_cdc")
_SNAPSHOT: Final = logging.getLogger("pglogical_cdc.snapshot")


@contextlib.contextmanager
def log_lines(console: Console | None) -> Iterator[None]:
    """Write the log to standard error while the block runs, each line with its time.

    Args:
        console: the console whose last rows show how far it is: warnings go above them. Without
            one there are lines of a snapshot's progress as well.
    """
    # logging's own handler would write into the middle of what is shown.
    above = None if console is None else io.BufferedWriter(AboveStatus(console))
    stream = None if above is None else io.TextIOWrapper(above, "utf-8", errors="replace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = _SNAPSHOT.level
    if console is None:
        _SNAPSHOT.setLevel(logging.INFO)
    _PACKAGE.addHandler(handler)
    try:
        yield
    finally:
        _PACKAGE.removeHandler(handler)
        _SNAPSHOT.setLevel(level)
