"""Engine: one JVM with one Debezium engine, and the records that it delivers."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from tests.conformance.java import Java

__all__ = ("BASE_PROPERTIES", "Engine", "read_records")

BASE_PROPERTIES: Final[Mapping[str, str]] = {
    "name": "dbz-cap",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "plugin.name": "pgoutput",
    "topic.prefix": "dbz",
    "publication.name": "dbz_pub",
    "publication.autocreate.mode": "disabled",
    "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
    "offset.flush.interval.ms": "1000",
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "header.converter.schemas.enable": "false",
    "poll.interval.ms": "50",
    "slot.drop.on.stop": "true",
    "errors.max.retries": "0",
    "status.update.interval.ms": "1000",
}
"""Connector properties of every engine; the connector's defaults but for speed and safety."""


class Engine:
    """A running engine. It ends by itself when this process ends.

    Args:
        java: the JVM.
        name: of the configuration; files are called after it.
        properties: connector properties.
        folder: where ``NAME.jsonl``, ``NAME.log`` and ``NAME.properties`` go.
    """

    def __init__(self, java: Java, name: str, properties: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.slot = properties["slot.name"]
        self.output = folder / f"{name}.jsonl"
        self._state: dict[str, Any] = {"state": "NONE", "records": 0, "sync_markers": 0}
        settings = folder / f"{name}.properties"
        _write_properties(settings, properties)
        with (folder / f"{name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                java.command(str(settings), str(self.output)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout], daemon=True)
        self._reader.start()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._state = json.loads(line)

    @property
    def markers(self) -> int:
        """How many rows of ``sync_marker`` it has delivered."""
        return int(self._state["sync_markers"])

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None and self._state["state"] != "END"

    @property
    def error(self) -> str:
        """What it died of."""
        causes = re.findall(r"^Caused by: .*$", self._state.get("error") or "", re.MULTILINE)
        return str(causes[-1] if causes else self._state.get("message") or "see its log")

    def ask_to_stop(self) -> None:
        """Have it stop; `wait` waits for it."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until it has stopped; kill it after so many seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return what an engine delivered; the driver's source says what is in a record."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    def escape(text: str, special: str) -> str:
        text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        text = re.sub(rf"[{special}]", r"\\\g<0>", text) if special else text
        return "\\" + text if text.startswith(" ") else text

    lines = [f"{escape(key, ' :=#!')}={escape(value, '')}\n" for key, value in properties.items()]
    path.write_text("".join(lines), encoding="utf-8")
