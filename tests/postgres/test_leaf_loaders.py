"""Tests of `pglogical_cdc.postgres.leaf_loaders`."""

from __future__ import annotations

import math
import random
import struct
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, cast

import psycopg
import pytest
from psycopg import pq
from psycopg.adapt import Loader, Transformer

from pglogical_cdc.postgres.leaf_loaders import CallersLoaderError, leaf_loader, shortest_float4

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer

    from tests.servers import Database

_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY


def _load(oid: int, data: bytes, format: pq.Format) -> object:
    registered = psycopg.adapters.get_loader(oid, format)
    assert registered is not None
    return leaf_loader(registered, oid, format)(oid, Transformer()).load(data)


def test_what_python_can_hold_is_psycopgs() -> None:
    assert _load(1082, b"2024-02-29", _TEXT) == date(2024, 2, 29)
    assert _load(1082, struct.pack(">i", -1), _BINARY) == date(1999, 12, 31)
    for oid in (23, 25, 1700):
        registered = psycopg.adapters.get_loader(oid, _TEXT)
        assert registered is not None
        assert leaf_loader(registered, oid, _TEXT) is registered


@pytest.mark.parametrize(
    ("oid", "text", "binary"),
    [
        (1082, "infinity", struct.pack(">i", 2**31 - 1)),
        (1082, "0001-12-31 BC", struct.pack(">i", -730120)),
        (1083, "24:00:00", struct.pack(">q", 86_400_000_000)),
        (1266, "24:00:00+02", struct.pack(">qi", 86_400_000_000, -7200)),
        (1114, "-infinity", struct.pack(">q", -(2**63))),
        (1184, "10000-01-01 00:00:00+00", struct.pack(">q", 252455616000000000)),
        (1186, "178000000 years", struct.pack(">qii", 0, 0, 178_000_000 * 12)),
    ],
)
def test_what_python_cannot_hold_is_text(oid: int, text: str, binary: bytes) -> None:
    assert _load(oid, text.encode(), _TEXT) == text
    assert _load(oid, binary, _BINARY) == text


@pytest.mark.parametrize(
    ("oid", "value", "data"),
    [
        (16, True, b"\1"),
        (21, 1, struct.pack(">h", 1)),
        (23, 1, struct.pack(">i", 1)),
        (26, 1, struct.pack(">I", 1)),
        (20, 1, struct.pack(">q", 1)),
        (700, 1.5, struct.pack(">f", 1.5)),
        (701, 1.5, struct.pack(">d", 1.5)),
        (1082, date(2000, 1, 2), struct.pack(">i", 1)),
        (1083, time(0, 0, 1), struct.pack(">q", 1_000_000)),
        (1266, time(0, 0, 1, tzinfo=timezone.utc), struct.pack(">qi", 1_000_000, 0)),
        (1114, datetime(2000, 1, 1, 0, 0, 1), struct.pack(">q", 1_000_000)),
        (1184, datetime(2000, 1, 1, 0, 0, 1, tzinfo=timezone.utc), struct.pack(">q", 1_000_000)),
        (1186, timedelta(0, 1), struct.pack(">qii", 1_000_000, 0, 0)),
    ],
)
def test_nothing_behind_a_short_value_is_read(oid: int, value: object, data: bytes) -> None:
    assert _load(oid, data, _BINARY) == value
    for length in (*range(len(data)), len(data) + 1):
        # As a value stands in a message: with others behind it.
        short = memoryview(data + b"\0" * 20)[:length]
        with pytest.raises((ValueError, struct.error, IndexError)):
            _load(oid, cast("bytes", short), _BINARY)


def _array(dimensions: list[int], *elements: bytes | int) -> bytes:
    """An int4[] in binary; a number stands for a length with nothing behind it."""
    parts = [struct.pack(">iiI", len(dimensions), 0, 23)]
    parts += [struct.pack(">ii", size, 1) for size in dimensions]
    for element in elements:
        if isinstance(element, int):
            parts.append(struct.pack(">i", element))
        else:
            parts += [struct.pack(">i", len(element)), element]
    return b"".join(parts)


_ONE, _TWO = struct.pack(">i", 1), struct.pack(">i", 2)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (_array([]), []),
        (_array([2], _ONE, -1), [1, None]),
        (_array([2, 1], _ONE, _TWO), [[1], [2]]),
        (_array([1] * 6, _ONE), [[[[[[1]]]]]]),
    ],
)
def test_arrays(data: bytes, value: object) -> None:
    assert _load(1007, data, _BINARY) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _array([])[:-1],
        _array([]) + b"\0",
        _array([2], _ONE),
        _array([1], _ONE, _ONE),
        _array([1], _ONE)[:-1],
        _array([1], -2),
        _array([1], 2**31 - 1),
        _array([-1], _ONE),
        _array([2**31 - 1], _ONE),
        _array([2**31 - 1, 0]),
        _array([2**16, 2**16], _ONE),
        _array([1] * 7, _ONE),
        struct.pack(">iiI", 2**31 - 1, 0, 23),
        struct.pack(">iiI", -1, 0, 23),
    ],
)
def test_arrays_that_are_not_whole_crash_nothing(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        _load(1007, data, _BINARY)


def test_interval() -> None:
    expected = timedelta(days=-425, microseconds=1)
    assert _load(1186, b"-1 years -2 mons +00:00:00.000001", _TEXT) == expected
    assert _load(1186, struct.pack(">qii", 1, 0, -14), _BINARY) == expected


def test_qchar() -> None:
    for text, binary, expected in (
        (b"", b"\0", ""),
        (b"a", b"a", "a"),
        (rb"\377", b"\377", r"\377"),
    ):
        assert _load(18, text, _TEXT) == _load(18, binary, _BINARY) == expected
    # Before PostgreSQL 15 the byte itself was sent.
    assert _load(18, b"\377", _TEXT) == r"\377"


@pytest.mark.pg
def test_shortest_float4_is_the_servers(database: Database) -> None:
    chosen = random.Random(4)
    bits = [exponent << 23 for exponent in range(255)]  # powers of two
    bits += [b + d for b in bits[1:] for d in (-1, 1)]
    bits += [chosen.getrandbits(31) for _ in range(20_000)]
    bits += range(1, 200)
    data = [struct.pack(">I", b) for b in bits]
    data += [
        struct.pack(">f", chosen.randrange(1, 100) * 10.0**e) for e in range(12) for _ in "12345"
    ]
    values: list[float] = [struct.unpack(">f", d)[0] for d in data]
    ((texts,),) = database.execute(
        "SELECT array_agg(x::float4::text ORDER BY place)"
        " FROM unnest(%s::float8[]) WITH ORDINALITY AS u (x, place)",
        [values],
    )
    found = [shortest_float4(d) for d in data]
    expected = [float(text) for text in texts]
    different = [
        (text, ours)
        for text, ours, theirs in zip(texts, found, expected, strict=True)
        if ours != theirs and not (math.isnan(ours) and math.isnan(theirs))
    ]
    assert different == []


def test_float4_of_either_sign() -> None:
    assert shortest_float4(struct.pack(">f", -1.1)) == -1.1
    assert math.copysign(1, shortest_float4(b"\x80\0\0\0")) == -1
    assert shortest_float4(struct.pack(">f", math.inf)) == math.inf


class _Failing(Loader):
    def load(self, data: Buffer) -> object:
        raise LookupError


class _NeedsConnection(Loader):
    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        raise AttributeError("no connection")

    def load(self, data: Buffer) -> object:
        raise AssertionError


def test_callers_loader_that_fails() -> None:
    loader = leaf_loader(_Failing, 1082, _TEXT)(1082, Transformer())
    with pytest.raises(CallersLoaderError) as caught:
        loader.load(b"infinity")
    assert caught.value.loader == "_Failing"
    assert caught.value.cause == "LookupError"


def test_callers_loader_that_cannot_be_made() -> None:
    with pytest.raises(CallersLoaderError) as caught:
        leaf_loader(_NeedsConnection, 1082, _TEXT)(1082, Transformer())
    assert caught.value.cause == "AttributeError"
