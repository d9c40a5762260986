"""Every public module says what it exports, and the top level exports it under its own name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
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
        if not name.startswith("_") and name != "annotations" and not isinstance(value, ModuleType)
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
