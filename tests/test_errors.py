"""Tests of `pglogical_cdc.errors`."""

from __future__ import annotations

import re
from typing import Final

import pytest

from pglogical_cdc import errors

_CLASSES: Final[list[type[errors.CdcError]]] = [getattr(errors, name) for name in errors.__all__]


def test_every_error_has_the_one_base() -> None:
    assert [each for each in _CLASSES if errors.CdcError not in each.__mro__] == []


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: list[tuple[str, str]] = []
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"( {4})([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if match is not None:
            depth = len(match[2]) // 4
            above[depth] = match[3]
            if depth:
                drawn.append((match[3], above[depth - 1]))
    assert drawn == [(c.__name__, c.__bases__[0].__name__) for c in _CLASSES[1:]]


def test_retryable_is_what_passes_by_itself() -> None:
    retryable = {each for each in _CLASSES if each.retryable}
    assert retryable == {
        errors.ConnectionLostError,
        errors.SilentServerError,
        errors.SlotInUseError,
        errors.TableAlteredError,
        errors.OffsetStoreUnavailableError,
        errors.SinkUnavailableError,
    }


def test_configuration_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match="wrong"):
        raise errors.ConfigurationError("wrong")


def test_protocol_error_says_where() -> None:
    error = errors.TruncatedMessageError("Begin", 9, expected="8 bytes", found="3 bytes")
    assert str(error) == "Begin, offset 9: expected 8 bytes, found 3 bytes"
    assert (error.message_name, error.offset) == ("Begin", 9)
    assert (error.expected, error.found) == ("8 bytes", "3 bytes")


def test_value_decode_error_names_the_column() -> None:
    error = errors.ValueDecodeError("public.orders", "price", 1700, "my_loader", "KeyError")
    assert (error.table, error.column, error.type_oid) == ("public.orders", "price", 1700)
    for part in ("public.orders", "price", "1700", "my_loader"):
        assert part in str(error)


def test_source_error_carries_the_servers_code() -> None:
    error = errors.SlotInUseError("in use", sqlstate="55006", slot="shop")
    assert (str(error), error.sqlstate, error.slot) == ("in use", "55006", "shop")
    assert errors.SourceError("other").sqlstate is None
