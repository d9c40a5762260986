"""Row l: what importing the package costs, beside its only large dependency."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.lines import Line, compared
from benchmarks.results import Results, Sample
from benchmarks.rows.jobs import ratios
from benchmarks.rows.row import Entry, Row, Stage

__all__ = ("ROWS",)

_OURS: Final = "pglogical_cdc"
_PEER: Final = "psycopg"
_TIMES: Final = 1.3
_TURNS: Final = 5
"""In each round, as one import is short."""


def _import(module: str) -> Sample:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", f"import {module}"])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}


def _enter(stage: Stage) -> Sequence[Entry]:
    def entry(module: str) -> Entry:
        _import(module)  # so that its bytecode is there
        return Entry(module, lambda: _import(module))

    return [entry(_PEER), entry(_OURS)]


def _lines(results: Results) -> Sequence[Line]:
    def text(module: str) -> str:
        wall, cpu = (1000 * results.median("l", module, figure) for figure in ("wall", "cpu"))
        return f"{wall:.0f} ms, {cpu:.0f} ms CPU"

    return [
        compared(
            "l",
            f"import in a new interpreter, {kind}",
            text(_OURS),
            f"{_PEER}: {text(_PEER)}",
            ratios(results.figures("l", _OURS, figure), results.figures("l", _PEER, figure)),
            "≤",
            _TIMES,
        )
        for figure, kind in (("wall", "wall time"), ("cpu", "CPU"))
    ]


ROWS: Final = (
    Row(
        "l", "import in a new interpreter", f"≤ {_TIMES:g}", lambda: None, _enter, _lines,
        turns=_TURNS,
    ),
)  # fmt: skip
