"""Properties of the parser that hold for every message, and for every damage to one."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.errors import ProtocolError
from pglogical_cdc.protocol import (
    DeleteMessage,
    InsertMessage,
    PgoutputParser,
    UpdateMessage,
    parse_walsender_message,
)
from tests import wire
from tests.protocol.strategies import messages_in_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from pglogical_cdc.protocol import Message


def _parser(version: int, *, in_stream: bool) -> PgoutputParser:
    parser = PgoutputParser(version)
    if in_stream:
        parser.parse(wire.stream_start(700))
    return parser


def _value_types(message: Message) -> list[type]:
    match message:
        case InsertMessage():
            values = message.new_tuple
        case UpdateMessage():
            values = (*(message.old_tuple or ()), *message.new_tuple)
        case DeleteMessage():
            values = message.old_tuple
        case _:
            return []
    return [type(value) for value in values]


def _check_error(error: ProtocolError, payload: bytes) -> None:
    assert error.message_name
    assert 0 <= error.offset <= len(payload)
    assert error.expected
    assert error.found
    assert str(error).startswith(f"{error.message_name}, offset {error.offset}: expected ")


@given(messages_in_context(), st.sampled_from([bytes, bytearray, memoryview]))
def test_a_built_message_parses_to_itself(
    context: tuple[int, bool, Message], container: Callable[[bytes], bytes]
) -> None:
    version, in_stream, message = context
    parsed = _parser(version, in_stream=in_stream).parse(container(wire.build(message)))
    assert parsed == message
    assert type(parsed) is type(message)
    assert _value_types(parsed) == _value_types(message)  # BinaryValue and bytes compare equal


@given(messages_in_context(), st.binary(min_size=1, max_size=7))
def test_bytes_behind_a_message_are_an_error(
    context: tuple[int, bool, Message], rest: bytes
) -> None:
    version, in_stream, message = context
    payload = wire.build(message)
    with pytest.raises(ProtocolError) as caught:
        _parser(version, in_stream=in_stream).parse(payload + rest)
    _check_error(caught.value, payload + rest)


@given(messages_in_context())
@settings(max_examples=60)
def test_every_truncation_gives_a_protocol_error(context: tuple[int, bool, Message]) -> None:
    version, in_stream, message = context
    payload = wire.build(message)
    # Without its optional end a Stream Abort is a whole message.
    whole = {9} if payload[:1] == b"A" else set()
    for size in set(range(len(payload))) - whole:
        with pytest.raises(ProtocolError) as caught:
            _parser(version, in_stream=in_stream).parse(payload[:size])
        _check_error(caught.value, payload[:size])


@given(messages_in_context(), st.integers(1, 255))
@settings(max_examples=60)
def test_every_changed_byte_gives_a_message_or_a_protocol_error(
    context: tuple[int, bool, Message], mask: int
) -> None:
    version, in_stream, message = context
    payload = wire.build(message)
    for place in range(len(payload)):
        damaged = bytearray(payload)
        damaged[place] ^= mask
        parser = _parser(version, in_stream=in_stream)
        try:
            parser.parse(damaged)
        except ProtocolError as error:
            _check_error(error, bytes(damaged))
            assert parser.in_stream is in_stream


@given(st.sampled_from([1, 2, 3, 4]), st.booleans(), st.binary(max_size=80))
def test_any_bytes_give_a_message_or_a_protocol_error(
    version: int, in_stream: bool, payload: bytes
) -> None:
    try:
        _parser(version, in_stream=in_stream and version > 1).parse(payload)
    except ProtocolError as error:
        _check_error(error, payload)


@given(st.binary(max_size=60), st.sampled_from([b"", b"w", b"k"]), st.booleans())
def test_any_envelope_gives_a_message_or_a_protocol_error(
    rest: bytes, code: bytes, as_view: bool
) -> None:
    data = code + rest
    try:
        parse_walsender_message(memoryview(data) if as_view else data)
    except ProtocolError as error:
        _check_error(error, data)


_HUGE = (2**31 - 1).to_bytes(4, "big")
_HOSTILE = {
    "value length": b"I" + bytes(4) + b"N" + b"\0\x01" + b"t" + _HUGE,
    "binary value length": b"I" + bytes(4) + b"N" + b"\0\x01" + b"b" + _HUGE,
    "column count of a row": b"I" + bytes(4) + b"N" + b"\x7f\xff",
    "column count of a table": b"R" + bytes(4) + b"a\0b\0d" + b"\x7f\xff",
    "relation count": b"T" + _HUGE + b"\0",
    "content length": b"M" + bytes(9) + b"p\0" + _HUGE,
}


@pytest.mark.parametrize("what", _HOSTILE)
@pytest.mark.parametrize("tail", [b"", bytes(3), bytes(10_000)])
def test_a_length_field_alone_allocates_nothing(what: str, tail: bytes) -> None:
    payload = _HOSTILE[what] + tail
    parser = PgoutputParser()
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            parser.parse(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # pytest.raises and the error take some kilobytes themselves.
    assert peak < 50_000 + 20 * len(payload)


def test_memory_is_proportional_to_the_message() -> None:
    payload = wire.insert(1, [b"x" * 4] * 30_000)
    parser = PgoutputParser()
    tracemalloc.start()
    try:
        parser.parse(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15 * len(payload)
