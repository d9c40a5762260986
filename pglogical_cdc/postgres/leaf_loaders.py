"""Loaders of single values: psycopg's own, with what keeps every value loadable put around them.

A value inside an array, a range or a composite goes through the same loader as one that stands
alone, so whatever has to be done is done here, at the leaf.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from typing import Final, TypeAlias

from psycopg import abc, pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader

from pglogical_cdc.postgres.iso_text import (
    date_text,
    interval_text,
    interval_timedelta,
    read_interval,
    read_interval_text,
    time_text,
    timestamp_text,
    timestamptz_text,
    timetz_text,
)

__all__ = ("CallersLoaderError", "leaf_loader", "shortest_float4")

_Key: TypeAlias = tuple[int, pq.Format]

_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY

_CHAR, _FLOAT4, _DATE, _TIME, _TIMESTAMP, _TIMESTAMPTZ, _INTERVAL, _TIMETZ = (
    18,
    700,
    1082,
    1083,
    1114,
    1184,
    1186,
    1266,
)


class CallersLoaderError(Exception):
    """A loader that the caller registered failed.

    Args:
        loader: name of its class.
        cause: name of the class of its exception.
    """

    def __init__(self, loader: str, cause: str) -> None:
        super().__init__(loader, cause)
        self.loader = loader
        self.cause = cause


def leaf_loader(loader: type[abc.Loader], oid: int, format: pq.Format) -> type[abc.Loader]:
    """Return the loader class to use where `loader` is registered.

    Args:
        loader: what is registered for the type and the format.
        oid: OID of the type.
        format: wire format.
    """
    if not _is_psycopgs(loader):
        return _named(loader)
    instead = _INSTEAD.get((oid, format, loader.__name__))
    if instead is not None:
        return instead
    if format == _BINARY:
        loader = _whole(loader)
    text = _OUT_OF_RANGE.get((oid, format))
    return loader if text is None else _or_text(loader, text)


def _is_psycopgs(loader: type[abc.Loader]) -> bool:
    if loader.__module__ == "abc":
        # A class that was made by a call, as psycopg makes those of arrays and composites, counts
        # as defined where ABCMeta is. It is whose method it runs.
        loader = next(base for base in loader.__mro__ if "load" in vars(base))
    return loader.__module__.partition(".")[0] in ("psycopg", "psycopg_binary", "psycopg_c")


def _named(loader: type[abc.Loader]) -> type[Loader]:
    """Put a wrapper around a loader of the caller that tells its failures from psycopg's."""

    class CallersLoader(Loader):
        format = loader.format

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            try:
                self._load = loader(oid, context).load
            except Exception as error:
                raise CallersLoaderError(loader.__qualname__, type(error).__name__) from None

        def load(self, data: Buffer) -> object:
            try:
                return self._load(data)
            except Exception as error:
                raise CallersLoaderError(loader.__qualname__, type(error).__name__) from None

    return CallersLoader


def _or_text(loader: type[abc.Loader], text: Callable[[bytes], str]) -> type[Loader]:
    """Put a wrapper around a loader that gives text where the loader fails."""

    class OrTextLoader(Loader):
        format = loader.format

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> object:
            try:
                return self._load(data)
            except Exception:
                return text(bytes(data))

    return OrTextLoader


def _whole(loader: type[abc.Loader]) -> type[abc.Loader]:
    """Put a wrapper around a binary loader that keeps values from it which are not whole.

    Those in C trust the lengths: they read on behind a value that is too short, in whatever lies
    there, and the one of arrays makes the process crash, or as big as a number in the value says.
    """
    size = _SIZES.get(loader.__name__)
    if size is None and loader.__name__ != "ArrayBinaryLoader":
        return loader

    class SizedLoader(Loader):
        format = _BINARY

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> object:
            if len(data) != size:
                raise ValueError("the value has another length than its type")
            return self._load(data)

    class ArrayLoader(SizedLoader):
        def load(self, data: Buffer) -> object:
            _check_array(data)
            return self._load(data)

    return ArrayLoader if size is None else SizedLoader


_ARRAY_HEADER: Final = struct.Struct(">iiI")
_ARRAY_DIMENSION: Final = struct.Struct(">ii")
_LENGTH: Final = struct.Struct(">i")
_MOST_DIMENSIONS: Final = 6
"""``MAXDIM`` of the server."""


def _check_array(data: Buffer) -> None:
    """Check that an array is as ``array_send`` writes them, with all of its elements.

    Raises:
        ValueError: it is not.
        struct.error: it ends too early.
    """
    dimensions, _, _ = _ARRAY_HEADER.unpack_from(data)
    if not 0 <= dimensions <= _MOST_DIMENSIONS:
        raise ValueError("no array has so many dimensions")
    place, end, count = _ARRAY_HEADER.size, len(data), min(dimensions, 1)
    for _ in range(dimensions):
        size, _ = _ARRAY_DIMENSION.unpack_from(data, place)
        # An empty one has no dimensions; int2vector and oidvector have one, of size 0.
        if size < (1 if dimensions > 1 else 0):
            raise ValueError("a dimension has no size")
        place += _ARRAY_DIMENSION.size
        count *= size
    if count > (end - place) // _LENGTH.size:
        raise ValueError("elements are missing")
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + max(length, 0)
        if length < -1 or place > end:
            raise ValueError("an element has no length")
    if place != end:
        raise ValueError("there are more elements than the dimensions have")


class _IntervalLoader(Loader):
    """Psycopg's counts in 32 bits, so that an interval too long for Python comes out as another.

    Nor does psycopg's pure Python one work without a connection.
    """

    def load(self, data: Buffer) -> object:
        text = bytes(data)
        interval = read_interval_text(text)
        delta = None if interval is None else interval_timedelta(interval)
        return text.decode() if delta is None else delta


class _IntervalBinaryLoader(Loader):
    format = _BINARY

    def load(self, data: Buffer) -> object:
        interval = read_interval(bytes(data))
        delta = interval_timedelta(interval)
        return interval_text(interval) if delta is None else delta


class _CharLoader(Loader):
    """``"char"``, a single byte. From PostgreSQL 15 on its text is octal outside ASCII."""

    def load(self, data: Buffer) -> object:
        text = bytes(data)
        return text.decode("ascii") if text.isascii() else f"\\{text[0]:03o}"


class _CharBinaryLoader(_CharLoader):
    format = _BINARY

    def load(self, data: Buffer) -> object:
        return "" if bytes(data) == b"\0" else super().load(data)


class _Float4BinaryLoader(Loader):
    format = _BINARY

    def load(self, data: Buffer) -> object:
        return shortest_float4(bytes(data))


_FLOAT4_FORM: Final = struct.Struct(">f")
_FLOAT4_BITS: Final = struct.Struct(">I")
_FLOAT4_NORMAL: Final = 2.0**-126
_NEAREST: Final = [Context(prec=n, rounding=ROUND_HALF_EVEN) for n in range(1, 10)]
_ABOVE: Final = [Context(prec=n, rounding=ROUND_CEILING) for n in range(1, 10)]


def shortest_float4(data: bytes) -> float:
    """Read a ``float4`` as the number that its text form means.

    The text is the shortest decimal number that is nearer to the value than to any other
    ``float4`` (PostgreSQL manual, "Floating-Point Types"): 1.1. The value itself, 1.10000002384,
    would make text and binary differ.

    Raises:
        struct.error: the value has another length.
    """
    value: float = _FLOAT4_FORM.unpack(data)[0]
    if value == 0 or not math.isfinite(value):
        return value
    size = abs(value)
    (bits,) = _FLOAT4_BITS.unpack(_FLOAT4_FORM.pack(size))
    # Six digits survive the way through a float4 and back, unless it is a subnormal one.
    first = 0 if size < _FLOAT4_NORMAL else 5
    exact = Decimal(size)
    below, above = _float4(bits - 1), _float4(bits + 1)
    for i in range(first, len(_NEAREST)):
        shorter = float(_NEAREST[i].plus(exact))
        if below + size < 2 * shorter < size + above:
            return math.copysign(shorter, value)
        # At a power of two the gap above is wider than that below, and a number that is farther
        # away can still be inside.
        shorter = float(_ABOVE[i].plus(exact))
        if not bits & 0x7FFFFF and 2 * shorter < size + above:
            return math.copysign(shorter, value)
    return value


def _float4(bits: int) -> float:
    value: float = _FLOAT4_FORM.unpack(_FLOAT4_BITS.pack(bits))[0]
    return 2.0**128 if math.isinf(value) else value


_INSTEAD: Final[dict[tuple[int, pq.Format, str], type[Loader]]] = {
    (_INTERVAL, _TEXT, "IntervalLoader"): _IntervalLoader,
    (_INTERVAL, _BINARY, "IntervalBinaryLoader"): _IntervalBinaryLoader,
    (_CHAR, _TEXT, "TextLoader"): _CharLoader,
    (_CHAR, _BINARY, "TextBinaryLoader"): _CharBinaryLoader,
    (_FLOAT4, _BINARY, "Float4BinaryLoader"): _Float4BinaryLoader,
}
"""By type, format and name of psycopg's loader: what loads in its place."""

_SIZES: Final = {
    "BoolBinaryLoader": 1,
    "Int2BinaryLoader": 2,
    "Int4BinaryLoader": 4,
    "OidBinaryLoader": 4,
    "Int8BinaryLoader": 8,
    "Float4BinaryLoader": 4,
    "Float8BinaryLoader": 8,
    "DateBinaryLoader": 4,
    "TimeBinaryLoader": 8,
    "TimetzBinaryLoader": 12,
    "TimestampBinaryLoader": 8,
    "TimestamptzBinaryLoader": 8,
}
"""By name of psycopg's loader: how long a value is."""

_OUT_OF_RANGE: Final[dict[_Key, Callable[[bytes], str]]] = {
    (_DATE, _TEXT): bytes.decode,
    (_TIME, _TEXT): bytes.decode,
    (_TIMETZ, _TEXT): bytes.decode,
    (_TIMESTAMP, _TEXT): bytes.decode,
    (_TIMESTAMPTZ, _TEXT): bytes.decode,
    (_DATE, _BINARY): date_text,
    (_TIME, _BINARY): time_text,
    (_TIMETZ, _BINARY): timetz_text,
    (_TIMESTAMP, _BINARY): timestamp_text,
    (_TIMESTAMPTZ, _BINARY): timestamptz_text,
}
"""Types with values that Python has not: what gives the server's text of those."""
