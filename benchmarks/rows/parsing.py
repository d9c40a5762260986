"""Row f: bytes of pgoutput to typed messages, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.lines import Line, compared
from benchmarks.parse_file import parsed_in_its_own_process
from benchmarks.peeked import peeked_payloads
from benchmarks.peers import PARSER, write_payloads
from benchmarks.results import Results, sample_of
from benchmarks.rows.jobs import ratios, speed
from benchmarks.rows.row import Entry, Row, Stage
from benchmarks.shapes import standard

__all__ = ("ROWS",)

_OURS: Final = "PgoutputParser"
_WHAT: Final = "bytes to typed messages"
_TIMES: Final = 10


def _enter(stage: Stage) -> Sequence[Entry]:
    shape = standard(stage.scale)
    stage.backlogs.write(shape)
    # There it is gone when the server is.
    path = stage.backlogs.server.embedded.directory / "payloads"
    with stage.backlogs.job(shape) as job:
        write_payloads(path, (payload for _, payload in peeked_payloads(job)))
    return [
        Entry(PARSER.name, lambda: sample_of(PARSER.parse(path))),
        Entry(_OURS, lambda: sample_of(parsed_in_its_own_process(path))),
    ]


def _lines(results: Results) -> Sequence[Line]:
    return [
        compared(
            "f",
            _WHAT,
            speed(results, "f", _OURS),
            f"{PARSER.name}: {speed(results, 'f', PARSER.name)}",
            ratios(results.rates("f", _OURS), results.rates("f", PARSER.name)),
            "≥",
            _TIMES,
        )
    ]


ROWS: Final = (Row("f", _WHAT, f"≥ {_TIMES}", PARSER.prepare, _enter, _lines),)
