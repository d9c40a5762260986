"""A reader's arguments, checked, with the defaults of the reader."""

from __future__ import annotations

import inspect
from typing import Any

from pglogical_cdc.replication.reader import ReplicationReader
from pglogical_cdc.replication.settings import Settings, check_settings

__all__ = ("checked",)


def checked(**given: Any) -> Settings:
    """Give the settings of a reader with these arguments."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(ReplicationReader).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return check_settings(**{**defaults, "slot": "s", "publications": "p", **given})
