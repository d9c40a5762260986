"""Tests of `pglogical_cdc.__main__`."""

from __future__ import annotations

import pytest

from tests.cli.running import run, run_python


@pytest.mark.parametrize("library", ["click", "rich"])
def test_says_what_to_install_where_a_library_is_missing(library: str) -> None:
    result = run_python(
        f"import sys; sys.modules[{library!r}] = None\n"
        "from pglogical_cdc.__main__ import main; main()"
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert library in result.stderr
    assert 'pip install "pglogical-cdc[cli]"' in result.stderr


def test_another_missing_module_is_not_hidden() -> None:
    result = run_python(
        "import sys; sys.modules['pglogical_cdc.cli.stream'] = None\n"
        "from pglogical_cdc.__main__ import main; main()"
    )
    assert result.returncode == 1
    assert "ModuleNotFoundError" in result.stderr


def test_runs_as_a_module_under_the_name_of_the_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: pglogical-cdc ")


def test_importing_it_loads_neither_library() -> None:
    result = run_python(
        "import sys, pglogical_cdc.__main__; print({'click', 'rich'} & set(sys.modules))"
    )
    assert result.stdout == "set()\n"
