"""Every module ``pglogical_cdc/a/b.py`` has its test file, ``tests/a/test_b.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parent
_PACKAGE: Final = _TESTS.with_name("pglogical_cdc")

EXEMPT: Final = {
    "__init__.py": "only names what its room exports; test_exports.py checks that",
    "__main__.py": "run as a command by tests/cli/test_dunder_main.py",
    "_attrs.py": "one alias; its effect shows in every test of a class",
}

_MODULES: Final = [path for path in sorted(_PACKAGE.rglob("*.py")) if path.name not in EXEMPT]


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_module_has_its_test_file(path: Path) -> None:
    folder = _TESTS / path.relative_to(_PACKAGE).parent
    mirror = folder / f"test_{path.stem.lstrip('_')}.py"
    assert mirror.is_file(), f"write {mirror.relative_to(_TESTS.parent)}"


def test_tests_are_packages() -> None:
    folders = {path.parent for path in _TESTS.rglob("test_*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
