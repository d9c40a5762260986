"""The memory of this process, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

__all__ = ("forget_peak", "resident_mb")

_PROCESS: Final = Path("/proc/self")


def resident_mb(which: Literal["VmRSS", "VmHWM"]) -> float:
    """Return the resident memory in MB: now (``VmRSS``), or at its peak (``VmHWM``)."""
    status = (_PROCESS / "status").read_text(encoding="ascii")
    found = re.search(rf"^{which}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, f"no {which} in /proc/self/status"
    return int(found[1]) / 1024


def forget_peak() -> None:
    """Let the peak be what is resident now (proc(5), ``clear_refs``)."""
    (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
