"""From the values of a row to those of BSON, the format of MongoDB's documents.

====================================  ==========================================================
PostgreSQL                            BSON
====================================  ==========================================================
NULL                                  null
boolean                               bool
smallint, integer, bigint, oid        32-bit or 64-bit integer
real, double precision                double
numeric                               Decimal128 if it is exact (34 digits), else text
text, varchar, char, enums, bit       string
bytea                                 binary
uuid                                  binary of subtype 4
timestamp, timestamptz                date, in UTC. **A BSON date has milliseconds**: what is below
                                      them is cut off. A ``timestamp`` is taken to be in UTC
date                                  date, at midnight UTC
json, jsonb, hstore                   what they hold, recursively; text if BSON cannot hold it
arrays                                array, if BSON can hold each element; else text
all else                              text
====================================  ==========================================================

Text is PostgreSQL's own, as it came; of values in binary form it is Python's ``str``. So is a time
or an address inside an array. ``infinity``, dates before Christ and all else that Python cannot
hold is text too, as it is in the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timezone
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Final
from uuid import UUID

from bson import Binary, Decimal128
from bson.binary import UuidRepresentation

from pglogical_cdc.events import Row

__all__ = ("bson_value", "document_id")

_INT64: Final = range(-(1 << 63), 1 << 63)
_DEEPEST: Final = 90
"""Levels of arrays and documents in a value; MongoDB takes 100 in a document (MongoDB manual,
"MongoDB Limits and Thresholds")."""
_EXACT: Final = Context(prec=34, traps=[Inexact, InvalidOperation])
"""The digits of a Decimal128; what does not fit is not rounded."""
_AS_TEXT: Final = (
    time,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
"""Types whose text in Python says the same as that of PostgreSQL, for the elements of arrays."""


class _Unfit(Exception):
    """BSON has nothing for a value."""


def bson_value(row: Row, column: str) -> object:
    """Return the BSON value of a column, as the table of this module has it.

    Args:
        row: a row, in which the column is not absent.
        column: name of the column.
    """
    value = row[column]
    try:
        return _converted(value, 0)
    except _Unfit:
        raw = row.raw[row.relation.positions[column]]
        if type(raw) is bytes:
            return raw.decode("utf-8", "backslashreplace")
        return str(value)


def document_id(key: Mapping[str, object]) -> object:
    """Return the ``_id`` of a row: the value of its key, or of several columns a document.

    A value is what it is elsewhere in the document, but for these, because two keys must never
    become one:

    - a timestamp is text in the form of ISO 8601, with all its digits, in UTC if it has a zone;
    - a numeric is without the zeros at its end: 1.5 and 1.50 are one key, in PostgreSQL as well;
    - what would be PostgreSQL's text is Python's, because a tombstone does not have the other.

    Args:
        key: values by column, in the order of the key; a document keeps that order.
    """
    identity = {name: _key_value(value) for name, value in key.items()}
    if len(identity) == 1:
        (value,) = identity.values()
        # MongoDB takes no array for an _id, and a document could look like an operator.
        if not isinstance(value, list | dict):
            return value
    return identity


def _key_value(value: object) -> object:
    if isinstance(value, datetime):
        return str(value) if (moment := _utc(value)) is None else moment.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        value = _without_zeros(value)
    elif isinstance(value, float):
        value += 0.0  # -0.0, which is equal to 0.0, becomes that
    try:
        return _converted(value, 0)
    except _Unfit:
        return str(value)


def _without_zeros(value: Decimal) -> Decimal:
    try:
        short = value.normalize(_EXACT)
        return short.quantize(Decimal(1), context=_EXACT) if short == short.to_integral() else short
    except DecimalException:
        return value


def _converted(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return value if value in _INT64 else _decimal(Decimal(value))
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        if (moment := _utc(value)) is None:
            raise _Unfit
        return moment
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, UUID):
        return Binary.from_uuid(value, UuidRepresentation.STANDARD)
    if depth and isinstance(value, _AS_TEXT):
        return str(value)
    if depth == _DEEPEST:
        raise _Unfit
    if isinstance(value, list):
        return [_converted(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {_name(name): _converted(each, depth + 1) for name, each in value.items()}
    raise _Unfit


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half a character, which JSON can have
            raise _Unfit from None
    return value


def _name(name: object) -> str:
    if not isinstance(name, str) or "\0" in name:
        raise _Unfit
    return _text(name)


def _decimal(value: Decimal) -> object:
    try:
        return Decimal128(value)
    except DecimalException:
        return format(value, "f")


def _utc(value: datetime) -> datetime | None:
    """Return a moment in UTC; None if it is in another year than Python has, there."""
    try:
        return value if value.tzinfo is None else value.astimezone(timezone.utc)
    except OverflowError:
        return None
