"""Every public module says what it exports, and the top level exports it under its own name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections import Counter
from types import ModuleType
from typing import Final

import pytest

import pglogical_cdc
from pglogical_cdc import errors

_MODULES: Final = sorted(
    info.name
    for info in pkgutil.walk_packages(pglogical_cdc.__path__, "pglogical_cdc.")
    if not info.name.rpartition(".")[2].startswith("_")
)


def test_the_modules_are_found() -> None:
    assert {"pglogical_cdc.errors", "pglogical_cdc.protocol.pgoutput"} <= set(_MODULES)


@pytest.mark.parametrize("name", ["pglogical_cdc", "pglogical_cdc._attrs", *_MODULES])
def test_all_is_a_tuple_of_names_that_exist(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    assert isinstance(exported, tuple), "a public module has a tuple __all__"
    assert [each for each, count in Counter(exported).items() if count > 1] == []
    assert [each for each in exported if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", _MODULES)
def test_all_holds_every_public_class_and_function_of_the_module(name: str) -> None:
    module = importlib.import_module(name)
    defined = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and getattr(value, "__qualname__", None) == each
        and getattr(value, "__module__", None) == name
    }
    assert defined - set(module.__all__) == set()


def test_the_top_level_exports_all_that_it_binds() -> None:
    bound = {
        name
        for name, value in vars(pglogical_cdc).items()
        if not name.startswith("_")
        and name not in ("annotations", "TYPE_CHECKING")
        and not isinstance(value, ModuleType)
    }
    assert bound - set(pglogical_cdc.__all__) == set()


def test_the_top_level_exports_every_error() -> None:
    assert set(errors.__all__) <= set(pglogical_cdc.__all__)


@pytest.mark.parametrize("name", pglogical_cdc.__all__)
def test_exported_names_are_at_home_at_the_top_level(name: str) -> None:
    value = getattr(pglogical_cdc, name)
    if getattr(value, "__qualname__", None) == name:
        assert value.__module__ == "pglogical_cdc"
    else:
        # No alias of a class that has another name; Python 3.10 takes Callable[...] for a class.
        assert not inspect.isclass(value) or hasattr(value, "__origin__")


def _run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_importing_the_package_loads_no_more_than_is_asked_for() -> None:
    loaded = "print(*(m for m in ('psycopg', 'pglogical_cdc.parsers') if m in sys.modules))"
    assert _run(f"import sys, pglogical_cdc; {loaded}") == ""
    reader = "from pglogical_cdc import ReplicationReader"
    assert _run(f"import sys; {reader}; {loaded}") == "psycopg"


def test_every_room_is_there_when_it_is_asked_for() -> None:
    program = "from pglogical_cdc import *; import pglogical_cdc as p; print(Insert, p.slots.list)"
    assert _run(program).startswith("<class 'pglogical_cdc.Insert'> <function list")
    assert set(pglogical_cdc.__all__) <= set(dir(pglogical_cdc))
    with pytest.raises(AttributeError, match="has no attribute 'Sequence'"):
        pglogical_cdc.Sequence  # type: ignore[attr-defined]  # noqa: B018


def test_names_of_the_rooms_are_those_of_the_top_level() -> None:
    names = [name for names in pglogical_cdc._ROOMS.values() for name in names]
    assert Counter([*names, *errors.__all__, "slots"]) == Counter(pglogical_cdc.__all__)
