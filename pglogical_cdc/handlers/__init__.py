"""What an application does with changes, whichever feed they come from."""

from __future__ import annotations

from pglogical_cdc.handlers.base import ChangeHandler
from pglogical_cdc.handlers.key_changes import KeyChanges
from pglogical_cdc.handlers.upsert import Upsert, UpsertHandler, key_of, upsert_of

__all__ = (
    "ChangeHandler",
    "KeyChanges",
    "Upsert",
    "UpsertHandler",
    "key_of",
    "upsert_of",
)
