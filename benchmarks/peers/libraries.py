"""Libraries of Python, each in an environment of its own: one that reads, one that writes JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Final

from psycopg.conninfo import conninfo_to_dict

from benchmarks.environments import Environment
from benchmarks.peers import versions
from benchmarks.peers.processes import answer
from benchmarks.runs import Job, MissingPeerError, Run

__all__ = ("PgoutputDecoder", "Psycopg2", "Pypgoutput")

_PROGRAMS: Final = Path(__file__).parent / "programs"
"""What the Pythons of those environments run: each stands alone, and imports nothing of ours."""


class _Library:
    environment: ClassVar[Environment]
    program: ClassVar[str]

    def prepare(self) -> None:
        """Make its environment, unless it is there.

        Raises:
            MissingPeerError: it cannot be installed.
        """
        self.environment.prepare()

    def _ask(self, question: dict[str, Any]) -> Run:
        command = [str(self.environment.prepare()), "-I", str(_PROGRAMS / self.program)]
        printed, peak_mb = answer(command, json.dumps(question))
        return Run(**json.loads(printed), peak_mb=peak_mb)


class Psycopg2(_Library):
    """psycopg2's ``consume_stream``, with a callback that only looks at the position.

    Its time begins with START_REPLICATION, as ours does; it parses no message.
    """

    name = f"psycopg2 {versions.PSYCOPG2}: consume_stream, nothing parsed"
    program = "psycopg2_stream.py"
    environment = Environment("psycopg2", (f"psycopg2-binary=={versions.PSYCOPG2}",))

    def run(self, job: Job) -> Run:
        """Read a backlog to its end."""
        question = {
            **{"dsn": job.dsn, "slot": job.slot, "publication": job.publication},
            **{"until": job.until, "events": job.events},
        }
        return self._ask(question)


class PgoutputDecoder(_Library):
    """pgoutput-decoder, in Rust with an asynchronous iterator: messages, and their JSON.

    Its time begins with the first message. It has a Python of its own, because its wheels need a
    newer one than we do.
    """

    name = f"pgoutput-decoder {versions.PGOUTPUT_DECODER}: its JSON"
    program = "pgoutput_decoder_json.py"
    environment = Environment(
        "pgoutput-decoder", (f"pgoutput-decoder=={versions.PGOUTPUT_DECODER}",), (3, 12)
    )

    def run(self, job: Job) -> Run:
        """Read a backlog to its end."""
        parameters = conninfo_to_dict(job.dsn)
        if parameters.get("sslmode") in ("require", "verify-ca", "verify-full"):
            raise MissingPeerError(f"{self.name}: it has no parameter for TLS")
        question = {
            "reader": {
                "publication_name": job.publication,
                "slot_name": job.slot,
                "host": parameters["host"],
                "port": int(parameters.get("port") or 5432),
                "database": parameters["dbname"],
                "user": parameters["user"],
                "password": parameters.get("password") or "",
            },
            "events": job.events,
        }
        return self._ask(question)


class Pypgoutput(_Library):
    """pypgoutput's decoders: pgoutput's bytes to its typed messages, without a server."""

    name = f"pypgoutput {versions.PYPGOUTPUT}: its decoders"
    program = "pypgoutput_parse.py"
    environment = Environment(
        "pypgoutput",
        (
            f"pypgoutput=={versions.PYPGOUTPUT}",
            # It asks for psycopg2, which is the same in source.
            f"psycopg2-binary=={versions.PSYCOPG2}",
            f"pydantic=={versions.PYDANTIC}",
            f"typing-extensions=={versions.TYPING_EXTENSIONS}",
        ),
    )

    def parse(self, payloads: Path) -> Run:
        """Decode every message of a file that `write_payloads` wrote; events are messages.

        The file is in memory before the time begins, and no message is kept.
        """
        return self._ask({"payloads": str(payloads)})
