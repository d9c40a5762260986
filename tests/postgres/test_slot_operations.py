"""Tests of `pglogical_cdc.postgres.slot_operations` that need no server.

Those on a server are in ``tests/test_slots.py``.
"""

from __future__ import annotations

import collections
from collections.abc import Generator
from typing import Any

import psycopg
import pytest

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    SlotInUseError,
    SlotNotFoundError,
    SourceError,
)
from pglogical_cdc.postgres.slot_operations import drop_slot, refusal

_HOST = (180000, False, "shop", "logical", "UTF8")
_SLOT = (
    *("s", "pgoutput", "shop", False, 7, "0/10", "0/20", "reserved", None, False),
    *("0/30", None, False, False, False, None, None, None),
)


def _begin() -> tuple[Generator[Any, Any, None], str]:
    """Give a conversation that drops a slot by force, and its first attempt."""
    conversation: Generator[Any, Any, None] = drop_slot("s", force=True)
    next(conversation)
    conversation.send([_HOST])
    return conversation, conversation.send([_SLOT]).as_string(None)


def test_a_slot_that_is_taken_again_and_again_is_given_up() -> None:
    conversation, statement = _begin()

    def refused() -> None:
        nonlocal statement
        assert "pg_drop_replication_slot" in statement
        statement = conversation.throw(psycopg.errors.ObjectInUse()).as_string(None)
        assert "pg_terminate_backend" in statement
        statement = conversation.send([(True,)]).as_string(None)

    with pytest.raises(SlotInUseError, match="stop that client"):
        collections.deque(iter(refused, "never"), maxlen=0)


def test_a_temporary_slot_goes_with_the_session_that_is_terminated() -> None:
    conversation, _ = _begin()
    conversation.throw(psycopg.errors.ObjectInUse())
    conversation.send([(True,)])
    with pytest.raises(StopIteration):
        conversation.throw(psycopg.errors.UndefinedObject())


def test_a_slot_that_goes_before_it_is_dropped_was_not_there() -> None:
    conversation, _ = _begin()
    with pytest.raises(SlotNotFoundError):
        conversation.throw(psycopg.errors.UndefinedObject())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.InsufficientPrivilege, ConfigurationError),
        (psycopg.errors.DuplicateObject, ConfigurationError),
        (psycopg.errors.ConfigurationLimitExceeded, ConfigurationError),
        (psycopg.errors.FeatureNotSupported, ConfigurationError),
        (psycopg.errors.ObjectInUse, SlotInUseError),
        (psycopg.errors.UndefinedObject, SlotNotFoundError),
        (psycopg.errors.QueryCanceled, SourceError),
        (psycopg.errors.InternalError_, SourceError),
        (psycopg.errors.AdminShutdown, ConnectionLostError),
        (psycopg.OperationalError, ConnectionLostError),
    ],
)
def test_refusals_are_typed(error: type[psycopg.Error], expected: type[CdcError]) -> None:
    typed = refusal(error(), "s")
    assert type(typed) is expected
    assert not isinstance(typed, SourceError) or typed.slot == "s"
