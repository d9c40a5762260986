"""The README's commands and the Python of README and docs."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[1]
_PACKAGE: Final = _ROOT / "pglogical_cdc"
_README: Final = _ROOT / "README.md"
_PAGES: Final = [_README, _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").rglob("*.md"))]

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"^<!-- command: (\w+) -->\n+```\w*\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_python_compiles(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for language, body in _FENCE.findall(text):
        if language == "python":
            compile(body, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_readme_has_the_commands_that_ci_runs() -> None:
    commands = dict(_COMMAND.findall(_README.read_text(encoding="utf-8")))
    assert set(commands) == {"tests", "demo"}
    assert "pytest" in commands["tests"]
    assert "pglogical-cdc demo" in commands["demo"]
    for body in [*commands.values(), (_ROOT / ".ci" / "run").read_text(encoding="utf-8")]:
        subprocess.run(["bash", "-n"], input=body, text=True, check=True)


def test_ci_reads_the_same_commands() -> None:
    commands = dict(_COMMAND.findall(_README.read_text(encoding="utf-8")))
    for name, body in commands.items():
        shown = subprocess.run(
            [str(_ROOT / ".ci" / "run"), "--show", name], capture_output=True, text=True, check=True
        )
        assert shown.stdout == body


def test_every_public_module_is_in_the_reference() -> None:
    pages = sorted((_ROOT / "docs" / "reference").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"^\.\. automodule:: ([\w.]+)$", text, re.MULTILINE))
    modules = {
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in _PACKAGE.rglob("*.py")
        if not path.name.startswith("_")
    }
    assert modules - named == set()
