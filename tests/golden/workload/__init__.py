"""The workload whose records are recorded: SQL for a server with pgvector."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.conformance.script import parts_of, resolve_conditions

__all__ = ("parts", "schema")

_HERE: Final = Path(__file__).parent


def _script(name: str) -> str:
    text = (_HERE / name).read_text(encoding="utf-8")
    return resolve_conditions(text, {"has_vector": True})


def schema() -> str:
    """Return what makes the tables, and the rows that are there before the workload."""
    return _script("types.sql") + _script("schema.sql")


def parts() -> list[tuple[str, str]]:
    """Return name and SQL of each part."""
    return parts_of(_script("workload.sql"))
