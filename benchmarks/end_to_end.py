"""The whole path, from the socket to JSON bytes, beside PostgreSQL's own pg_recvlogical.

``python -m benchmarks.end_to_end [--rows N] [--rounds N] [--pg VERSION]`` starts a server, writes
a backlog, and lets each contestant read it from a copy of the same slot, each in a process of its
own, in turn, round after round. The table has medians; ratios are to pg_recvlogical in the same
run, because the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import psycopg

import pglogical_cdc as cdc
from benchmarks import backlog
from tests.servers import find_binaries, run_server

__all__ = ("main",)

PEER: Final = "pg_recvlogical -f /dev/null"


def _changes(reader: cdc.ReplicationReader) -> int:
    return sum(1 for _ in reader)


def _one_column(reader: cdc.ReplicationReader) -> int:
    count = 0
    for change in reader:
        row = change.after if change.after is not None else change.before
        assert row is not None
        row["id"]
        count += 1
    return count


def _formatted(formatter: cdc.Formatter) -> Callable[[cdc.ReplicationReader], int]:
    def run(reader: cdc.ReplicationReader) -> int:
        count = 0
        for change in reader:
            formatter.format(change)
            count += 1
        return count

    return run


CONTESTANTS: Final[dict[str, Callable[[cdc.ReplicationReader], int]]] = {
    "typed changes": _changes,
    "one column of each row": _one_column,
    "Debezium JSON": _formatted(cdc.DebeziumFormatter(topic_prefix="bench")),
    "Debezium JSON with schemas": _formatted(
        cdc.DebeziumFormatter(topic_prefix="bench", schemas_enable=True)
    ),
    "unwrapped JSON": _formatted(cdc.UnwrappedFormatter(topic_prefix="bench")),
    "DMS JSON": _formatted(cdc.DmsFormatter(message_format="json-unformatted")),
}


def _work(name: str, dsn: str, slot: str, until: str) -> None:
    """Be one contestant: read to the end and print what it took."""
    with cdc.ReplicationReader(dsn, slot=slot, publications=["bench"], until=until) as reader:
        began, cpu = time.perf_counter(), time.process_time()
        count = CONTESTANTS[name](reader)
        result = {
            "changes": count,
            "wall": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
    print(json.dumps(result))


def _run_peer(binary: str, dsn: str, slot: str, until: str) -> dict[str, float]:
    command = [
        binary, "--dbname", dsn, "--slot", slot, "--start", "--endpos", until,
        "--file", os.devnull, "--fsync-interval", "0",
        "--option", "proto_version=1", "--option", "publication_names=bench",
    ]  # fmt: skip
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu}


def _run_contestant(name: str, dsn: str, slot: str, until: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.end_to_end", "--work", name, dsn, slot, until]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _measure(choice: str, rows: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    binary = str(find_binaries(choice) / "bin" / "pg_recvlogical")
    results: dict[str, list[dict[str, float]]] = {name: [] for name in [PEER, *CONTESTANTS]}
    with run_server(choice) as server, psycopg.connect(server.dsn(), autocommit=True) as session:
        session.execute(backlog.TABLE_SQL)
        session.execute("CREATE PUBLICATION bench FOR ALL TABLES")
        session.execute("SELECT pg_create_logical_replication_slot('origin_slot', 'pgoutput')")
        for statement in backlog.workload(rows):
            session.execute(statement)
        (until,) = session.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone() or ("",)
        # pg_recvlogical ends at the first message at or past its end position.
        session.execute("INSERT INTO standard (id) VALUES (-1)")
        for number in range(rounds):
            for name in results:
                slot = f"copy_{number}"
                session.execute(
                    "SELECT pg_copy_logical_replication_slot('origin_slot', %s)", [slot]
                )
                run = _run_peer if name == PEER else _run_contestant
                label = binary if name == PEER else name
                results[name].append(run(label, server.dsn(), slot, until))
                session.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    return results


def _table(results: dict[str, list[dict[str, float]]]) -> str:
    changes = max(run.get("changes", 0) for runs in results.values() for run in runs)
    median = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")}
        for name, runs in results.items()
    }
    lines = [
        "| socket to ... | changes/s | ratio to pg_recvlogical | CPU s | MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, figures in median.items():
        ratio = statistics.median(
            peer["wall"] / run["wall"]
            for peer, run in zip(results[PEER], results[name], strict=True)
        )
        memory = max(run.get("memory", 0) for run in results[name]) / 1024
        lines.append(
            f"| {name} | {changes / figures['wall']:,.0f} | {ratio:.2f} | {figures['cpu']:.2f} | "
            f"{f'{memory:.0f}' if memory else ''} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="rows inserted")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg", default="18", help="PostgreSQL version")
    parser.add_argument("--json", metavar="PATH", help="write every run there")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        _work(*arguments.work)
        return
    results = _measure(arguments.pg, arguments.rows, arguments.rounds)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file)
    print(_table(results))


if __name__ == "__main__":
    main()
