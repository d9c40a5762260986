"""Tells the functions of the package from others, for tests that interrupt or count calls."""

from __future__ import annotations

import os
from pathlib import Path
from types import CodeType
from typing import Final

import pglogical_cdc

__all__ = ("is_ours",)

_FOLDER: Final = str(Path(pglogical_cdc.__file__).parent) + os.sep


def is_ours(code: CodeType) -> bool:
    """Tell whether it is the package's, wherever that, the tests and other packages lie."""
    name = code.co_filename
    # What attrs makes has no file, and is named after the class.
    return name.startswith(_FOLDER) or (name.startswith("<") and "pglogical_cdc" in name)
