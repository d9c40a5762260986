"""The compiled splitter agrees with the plain reader, in what it gives and in what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ProtocolError
from pglogical_cdc.protocol import (
    BinaryValue,
    read_tuple,
    split_tuple,
    splitter,
    splitter_source,
)
from pglogical_cdc.protocol.splitter import SPLITTERS
from tests import wire

if TYPE_CHECKING:
    from pglogical_cdc.protocol import ColumnValue

_VALUES = st.lists(
    st.one_of(
        st.none(),
        st.just(UNCHANGED),
        st.binary(max_size=300),
        st.binary(max_size=300).map(BinaryValue),
    ),
    max_size=12,
)


def _outcome(read: object, data: bytes, offset: int) -> object:
    assert callable(read)
    try:
        values, end = read(data, offset, "Insert")
    except ProtocolError as error:
        return type(error), str(error)
    return values, [type(value) for value in values], end


@given(_VALUES, st.binary(max_size=3), st.binary(max_size=3))
def test_it_splits_what_the_server_sends(
    values: list[ColumnValue], before: bytes, after: bytes
) -> None:
    data = before + wire.tuple_data(values) + after
    split, end = split_tuple(data, len(before), "Insert")
    assert split == tuple(values)
    assert [type(value) for value in split] == [type(value) for value in values]
    assert end == len(data) - len(after)


@given(_VALUES, st.data())
def test_it_agrees_with_the_plain_reader_on_what_is_malformed(
    values: list[ColumnValue], data: st.DataObject
) -> None:
    message = bytearray(wire.tuple_data(values))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(message) - 1))
        message[place] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(0, len(message)))])
    assert _outcome(split_tuple, cut, 0) == _outcome(read_tuple, cut, 0)


@example(b"\0\2t\xff\xff\xff\xffn")
@example(b"\0\1t\x7f\xff\xff\xffabc")
@example(b"\xff\xffn")
@given(st.binary(max_size=40))
def test_it_agrees_with_the_plain_reader_on_anything(data: bytes) -> None:
    assert _outcome(split_tuple, data, 0) == _outcome(read_tuple, data, 0)


@pytest.mark.parametrize("columns", [1, 64, 1600, 1601])
def test_any_number_of_columns(columns: int) -> None:
    values: list[ColumnValue] = [b"%d" % i if i % 3 else None for i in range(columns)]
    data = wire.tuple_data(values)
    assert split_tuple(data, 0, "Insert") == (tuple(values), len(data))


def test_nothing_is_compiled_for_what_cannot_be() -> None:
    compiled = dict(SPLITTERS)
    with pytest.raises(ProtocolError):
        split_tuple(b"\6\x3f" + b"n" * 100, 0, "Insert")
    with pytest.raises(ProtocolError):
        split_tuple(b"\x7f\xff" + b"n" * 20000, 0, "Insert")
    assert compiled == SPLITTERS


def test_source_can_be_read() -> None:
    source = splitter_source(2)
    assert source.startswith("def split(data, p):\n    kind = data[p]\n")
    assert source.endswith("    return (v0, v1, ), p\n")
    assert splitter(2) is splitter(2)


def test_compiled_splitters_do_not_fill_the_memory() -> None:
    for columns in range(600):
        splitter(columns)
    assert len(SPLITTERS) <= 256
