"""The file of messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers import read_payloads, write_payloads


@pytest.mark.parametrize("payloads", [[], [b""], [b"B1", b"", b"\x00" * 70_000, b"C"]])
def test_what_is_written_is_read(tmp_path: Path, payloads: list[bytes]) -> None:
    path = tmp_path / "payloads"
    write_payloads(path, payloads)
    assert list(read_payloads(path)) == payloads
