"""Our parser on a file of messages, in a process of its own.

``python -m benchmarks.parse_file PATH`` parses what `benchmarks.peers.write_payloads` wrote, and
prints the `Run` as JSON; events are messages.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.memory import resident_mb
from benchmarks.peers import read_payloads
from benchmarks.runs import Run
from pglogical_cdc.protocol import PgoutputParser

__all__ = ("parsed_in_its_own_process",)


def _parse(path: Path) -> Run:
    payloads = list(read_payloads(path))
    parse = PgoutputParser(protocol_version=1).parse
    began, cpu = time.perf_counter(), time.process_time()
    for payload in payloads:
        parse(payload)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(len(payloads), wall, cpu, resident_mb("VmHWM"))


def parsed_in_its_own_process(path: Path) -> Run:
    """Parse every message of a file, keeping none."""
    command = [sys.executable, "-m", "benchmarks.parse_file", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Run(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_parse(Path(sys.argv[1])))))
