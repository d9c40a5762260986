"""The message classes."""

from __future__ import annotations

import typing

import pytest

from pglogical_cdc.protocol import (
    BinaryValue,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    Message,
    RelationColumn,
    TruncateMessage,
    UpdateMessage,
    messages,
)


@pytest.mark.parametrize(
    "message",
    [
        InsertMessage(1, (b"secret", BinaryValue(b"secret"), None)),
        UpdateMessage(1, "K", (b"secret",), (b"secret", b"secret")),
        UpdateMessage(1, None, None, (b"secret",)),
        DeleteMessage(1, "O", (b"secret",)),
        LogicalDecodingMessage(1, 2, "prefix", b"secret"),
    ],
)
def test_repr_shows_no_values(message: Message) -> None:
    assert "secret" not in repr(message)
    assert type(message).__name__ in repr(message)


def test_repr_shows_the_number_of_columns() -> None:
    assert repr(UpdateMessage(1, "K", (b"a",), (b"a", None), 7)) == (
        "UpdateMessage(relation_id=1, old_tuple_kind='K', old_tuple=<1 columns>, "
        "new_tuple=<2 columns>, xid=7)"
    )
    assert "old_tuple=None" in repr(UpdateMessage(1, None, None, ()))


@pytest.mark.parametrize(
    ("options", "cascade", "restart_identity"),
    [(0, False, False), (1, True, False), (2, False, True), (3, True, True)],
)
def test_truncate_options(options: int, cascade: bool, restart_identity: bool) -> None:
    message = TruncateMessage((1,), options)
    assert message.cascade is cascade
    assert message.restart_identity is restart_identity


def test_flags() -> None:
    assert LogicalDecodingMessage(1, 2, "", b"").transactional is True
    assert LogicalDecodingMessage(0, 2, "", b"").transactional is False
    assert RelationColumn(1, "id", 23, -1).is_key is True
    assert RelationColumn(0, "id", 23, -1).is_key is False


def test_the_union_has_every_message() -> None:
    classes = {getattr(messages, name) for name in messages.__all__ if name.endswith("Message")}
    assert set(typing.get_args(Message)) == classes - {Message}
    assert len(typing.get_args(Message)) == 19


def test_messages_have_slots() -> None:
    for message_class in typing.get_args(Message):
        assert "__slots__" in vars(message_class)
