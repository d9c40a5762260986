"""Which room may import which: the arrows of CONTRIBUTING.md, checked on the source."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

_PACKAGE: Final = Path(__file__).parents[1] / "pglogical_cdc"

BASE: Final = {"errors", "lsn", "absent", "_attrs", "_utf16", "metrics"}
PURE: Final = {"protocol", "events", "transforms", "formatters"}
IMPURE_MODULES: Final = {"psycopg", "socket", "select", "asyncio", "threading", "time"}

_ALLOWED: Final[dict[str, set[str]]] = {
    **dict.fromkeys(BASE, BASE),
    "clock": BASE,
    "name_patterns": BASE,
    "protocol": BASE,
    "events": BASE | {"protocol"},
    "transforms": BASE | {"name_patterns", "events", "protocol"},
    "formatters": BASE | {"clock", "name_patterns", "events"},
    "postgres": BASE | {"events", "protocol"},
    "parsers": BASE | {"postgres", "formatters", "events"},
    "slots": BASE | {"postgres", "events"},
    "offsets": BASE | {"postgres"},
    "snapshot": BASE | {"name_patterns", "postgres", "events", "protocol"},
    "replication": BASE
    | {"name_patterns", "snapshot", "offsets", "postgres", "events", "protocol"},
    "handlers": BASE | {"events"},
    "sinks": BASE | {"formatters", "handlers", "events"},
    "pipeline": BASE | {"replication", "postgres", "formatters", "sinks", "events"},
}
_MAY_IMPORT_ALL: Final = {"__init__", "__main__", "cli"}

_MODULES: Final = sorted(_PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    first = path.relative_to(_PACKAGE).parts[0]
    return first.removesuffix(".py")


def _imported(tree: ast.AST) -> set[str]:
    """Give the dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            names.update(f"{prefix}.{alias.name}" for alias in node.names)
    return names


def _faults(room: str, source: str) -> list[str]:
    faults = []
    for name in sorted(_imported(ast.parse(source))):
        top, _, rest = name.partition(".")
        if name.startswith("."):
            faults.append(f"relative import {name}")
        elif top == "pglogical_cdc":
            target = rest.partition(".")[0]
            if target != room and room not in _MAY_IMPORT_ALL and target not in _ALLOWED[room]:
                faults.append(f"{room} may not import {target or top}")
        elif room in PURE and top in IMPURE_MODULES:
            faults.append(f"{room} is pure and may not import {top}")
    return faults


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(_PACKAGE))) for path in _MODULES]
)
def test_imports_follow_the_arrows(path: Path) -> None:
    room = _room(path)
    assert room in _ALLOWED or room in _MAY_IMPORT_ALL, f"give the room {room} its arrows"
    assert _faults(room, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("protocol", "from pglogical_cdc.events import Insert"),
        ("protocol", "from pglogical_cdc import events"),
        ("events", "import pglogical_cdc.postgres.slots"),
        ("events", "import pglogical_cdc"),
        ("events", "from ..postgres import slots"),
        ("events", "from psycopg import sql"),
        ("formatters", "def f() -> None:\n    import time"),
        ("sinks", "if TYPE_CHECKING:\n    from pglogical_cdc.replication import reader"),
        ("lsn", "from pglogical_cdc.protocol import messages"),
    ],
)
def test_a_wrong_arrow_is_seen(room: str, source: str) -> None:
    assert len(_faults(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("events", "from pglogical_cdc.events.row import Row"),
        ("events", "from pglogical_cdc.protocol import messages"),
        ("postgres", "import time, psycopg"),
        ("cli", "from pglogical_cdc.postgres import slots"),
    ],
)
def test_a_right_arrow_passes(room: str, source: str) -> None:
    assert _faults(room, source) == []


def test_arrows_only_go_down() -> None:
    rooms = list(_ALLOWED)
    for room in rooms[len(BASE) :]:
        later = {other for other in _ALLOWED[room] if rooms.index(other) >= rooms.index(room)}
        assert later <= {room}
