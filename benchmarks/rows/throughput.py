"""Rows a to e and g: how fast the standard backlog is read, beside the peers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from benchmarks.contestants import (
    ASYNC_DEBEZIUM,
    ASYNC_OUTPUT,
    CLOCK,
    DEBEZIUM,
    ONE_COLUMN,
    OUTPUT,
    in_its_own_process,
)
from benchmarks.lines import Line, compared, equal
from benchmarks.peers import (
    DebeziumEngine,
    Peer,
    PgoutputDecoder,
    PgRecvlogical,
    Psycopg2,
)
from benchmarks.reference import digest_of
from benchmarks.results import Results
from benchmarks.rows.jobs import cost, our_entry, peer_entry, ratios, speed
from benchmarks.rows.row import Entry, Row, Stage, nothing_before
from benchmarks.shapes import standard

__all__ = ("ROWS",)

_REFERENCE: Final = "plain reference writer"
_RECVLOGICAL: Final = PgRecvlogical()


def _faster(
    letter: str,
    what: str,
    ours: str,
    peer: Peer,
    at_least: float,
    *,
    tls: bool = False,
    output: str = "",
) -> Row:
    """Make a row whose ratio is that of the events per second.

    Args:
        letter: of the row.
        what: is done.
        ours: the contestant.
        peer: beside it.
        at_least: the bar.
        tls: whether both read over TLS.
        output: the contestant whose digest has to be the reference writer's, if any.
    """

    def enter(stage: Stage) -> Sequence[Entry]:
        shape = standard(stage.scale)
        stage.backlogs.write(shape)
        return [
            peer_entry(stage, shape, peer, tls=tls),
            our_entry(stage, shape, ours, tls=tls),
        ]

    def before(stage: Stage, results: Results) -> None:
        shape = standard(stage.scale)
        with stage.backlogs.job(shape, tls=tls) as job:
            digest = in_its_own_process(output, job).output
        results.digests[f"{letter}: {output}"] = str(digest)
        if _REFERENCE not in results.digests:
            with stage.backlogs.job(shape) as job:
                results.digests[_REFERENCE] = digest_of(job, shape.name, CLOCK)

    def lines(results: Results) -> Sequence[Line]:
        rates = ratios(results.rates(letter, ours), results.rates(letter, peer.name))
        text = speed(results, letter, ours)
        if peer == _RECVLOGICAL:
            text += f"; {_with_opening(results, letter, ours, peer):.2f} with connecting"
        found = [
            compared(
                letter,
                what,
                text,
                f"{peer.name}: {speed(results, letter, peer.name)}",
                rates,
                "≥",
                at_least,
            )
        ]
        if output:
            digests = results.digests[f"{letter}: {output}"], results.digests[_REFERENCE]
            found.append(equal(letter, f"its SHA-256, beside the {_REFERENCE}'s", *digests))
        return found

    return Row(
        letter,
        what,
        f"≥ {at_least:g}",
        peer.prepare,
        enter,
        lines,
        before if output else nothing_before,
    )


def _with_opening(results: Results, letter: str, ours: str, peer: Peer) -> float:
    """Return the ratio if our time had that of connecting, as the peer's has it."""
    walls = zip(
        results.figures(letter, ours, "wall"),
        results.figures(letter, ours, "opening"),
        strict=True,
    )
    whole = [wall + opening for wall, opening in walls]
    return statistics.median(ratios(results.figures(letter, peer.name, "wall"), whole))


def _with_engine() -> Row:
    """Make the row of the Debezium engine, which is compared by three figures."""
    engine = DebeziumEngine()
    speedy = _faster("d", "events/s, beside the Debezium engine", DEBEZIUM, engine, 6)

    def lines(results: Results) -> Sequence[Line]:
        def memory_of(name: str) -> str:
            return f"{results.median('d', name, 'peak_mb'):,.0f} MB"

        cpu = ratios(results.costs("d", DEBEZIUM), results.costs("d", engine.name))
        memory = ratios(
            results.figures("d", DEBEZIUM, "peak_mb"), results.figures("d", engine.name, "peak_mb")
        )
        return [
            *speedy.lines(results),
            *(
                compared(
                    "d",
                    f"{what}, beside the Debezium engine",
                    ours,
                    f"{engine.name}: {theirs}",
                    found,
                    "≤",
                    1 / 8,
                    digits=3,
                )
                for what, ours, theirs, found in (
                    (
                        "CPU per event",
                        cost(results, "d", DEBEZIUM),
                        cost(results, "d", engine.name),
                        cpu,
                    ),
                    ("peak memory", memory_of(DEBEZIUM), memory_of(engine.name), memory),
                )
            ),
        ]

    return Row("d", speedy.what, speedy.bar, speedy.prepare, speedy.enter, lines)


ROWS: Final = (
    _faster("a", "socket to Debezium JSON bytes", DEBEZIUM, _RECVLOGICAL, 1.0, output=OUTPUT),
    _faster("b", "the same, asyncio", ASYNC_DEBEZIUM, _RECVLOGICAL, 0.9, output=ASYNC_OUTPUT),
    _faster("c", "the same, over TLS", DEBEZIUM, _RECVLOGICAL, 0.9, tls=True, output=OUTPUT),
    _with_engine(),
    _faster("e", "socket to JSON bytes, beside Rust", DEBEZIUM, PgoutputDecoder(), 15),
    _faster("g", "socket to one column of each row", ONE_COLUMN, Psycopg2(), 0.8),
)
