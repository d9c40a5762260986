"""Tests of `pglogical_cdc.postgres.leaf_loaders`."""

from __future__ import annotations

import math
import random
import struct
from datetime import date, timedelta
from typing import TYPE_CHECKING

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
