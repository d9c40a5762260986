"""Column values as AWS DMS writes them: from the server's text to JSON text.

A function is chosen once for each column of a relation version; no Python value is made where the
text will do. A text that is not of its type's form is written as a JSON string, so that the
message stays valid whatever came.

The mapping is that of the DMS user guide, "Source data types for PostgreSQL", and of captured
messages. Not verified against AWS: numeric (the number as PostgreSQL writes it; a string if the
column, or else the value, has more than DMS's 38 digits), money (a number), the case of bytea's
digits, what stands for numbers that are not finite, whole numbers in ``float4`` and the sign of
zero (cJSON may write them as integers), time zones of ``timetz``, and dates before Christ or
infinite (PostgreSQL's text).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.events import Column, Relation, base_type
from pglogical_cdc.formatters.dms.column_type import MAX_DIGITS
from pglogical_cdc.formatters.wire import usual_form as forms
from pglogical_cdc.formatters.wire.binary import bytea_bytes
from pglogical_cdc.formatters.wire.times import ISO_TIMESTAMP, utc_offset
from pglogical_cdc.formatters.wire.usual_form import UsualForm

__all__ = ("NAMES", "Render", "ValueOptions", "renderer", "usual_form")

Render: TypeAlias = Callable[[bytes], str]
"""From a value in text format, as it came, to JSON text."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_DECIMAL: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_WHOLE_MICROSECONDS: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}(?:\+00)?"
).fullmatch
_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_MONEY: Final = re.compile(r"(-?)\$([0-9,]+\.[0-9]+)").fullmatch
_SINGLE: Final = struct.Struct("<f")

_MICRO: Final = Decimal("0.000001")
_EXACT: Final = Context(prec=150_000, rounding=ROUND_HALF_UP)
"""PostgreSQL's numeric has up to 131072 digits before the point and 16383 after it."""
_DMS_EXACT_DIGITS: Final = 16
"""Without ``UseLargeIntegerValue`` an integer with more digits is cast to a double."""


@record
class ValueOptions:
    """The endpoint settings that shape a value."""

    use_large_integer_value: bool = True
    map_boolean_as_boolean: bool = True
    no_hex_prefix: bool = False
    exact_numeric: bool = True
    """Whether a numeric without precision keeps its digits, and is no NUMERIC(28,6)."""
    upper_hex: bool = False
    numeric_as_string: bool = False
    non_finite_as_string: bool = False


def renderer(relation: Relation, column: Column, options: ValueOptions) -> Render:
    """Return the function that writes the values of a column."""
    name, modifier = base_type(relation, column)
    match name:
        case "int2" | "int4" | "oid":
            return _number
        case "int8":
            return _number if options.use_large_integer_value else _cast_to_double
        case "float8":
            return _non_finite(_double, options)
        case "float4":
            return _non_finite(_single, options)
        case "numeric":
            return _non_finite(_of_numeric(modifier, options), options)
        case "money":
            return _money
        case "bool":
            return _boolean if options.map_boolean_as_boolean else _boolean_as_string
        case "bytea":
            return _bytes("" if options.no_hex_prefix else "0x", upper=options.upper_hex)
        case "timestamp" | "timestamptz":
            if modifier in (-1, 6):
                return _MICROSECONDS[name]
            return _timestamp(modifier)
        case "text" | "varchar" | "bpchar" | "char" | "name":
            return _word
        case "uuid":
            return _uuid
    return _string


def usual_form(render: Render) -> UsualForm | None:
    """Return what a function of `renderer` makes of most values."""
    return _FORMS.get(render)


def _of_numeric(modifier: int, options: ValueOptions) -> Render:
    if modifier < 4:
        render = _numeric if options.exact_numeric else _numeric_28_6
    else:
        # numeric.c, make_numeric_typmod: precision in the upper half, both above VARHDRSZ.
        render = _string if (modifier - 4) >> 16 & 0xFFFF > MAX_DIGITS else _numeric
    if not options.numeric_as_string or render is _string:
        return render

    def as_string(value: bytes) -> str:
        text = render(value)
        return text if text.startswith(('"', "null")) else f'"{text}"'

    return as_string


def _non_finite(render: Render, options: ValueOptions) -> Render:
    if not options.non_finite_as_string:
        return render

    def with_strings(value: bytes) -> str:
        text = render(value)
        return _string(value) if text == "null" else text

    return with_strings


def _string(value: bytes) -> str:
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return encode_basestring(value.decode("utf-8", "replace"))


def _word(value: bytes) -> str:
    return _string(value)


def _uuid(value: bytes) -> str:
    return _string(value)


def _not_a_number(text: str) -> str:
    # JSON has no such numbers; cJSON writes null for them.
    return "null" if text in _NOT_FINITE else encode_basestring(text)


def _number(value: bytes) -> str:
    if value.isdigit() and (value[0] != 0x30 or len(value) == 1):
        return value.decode()
    text = value.decode("utf-8", "replace")
    return text if _NUMBER(text) else _not_a_number(text)


def _numeric(value: bytes) -> str:
    if len(value) <= MAX_DIGITS and _DECIMAL(value):
        return value.decode()
    text = value.decode("utf-8", "replace")
    if not _NUMBER(text):
        return _not_a_number(text)
    if len(text) > MAX_DIGITS and sum(map(str.isdigit, text)) > MAX_DIGITS:
        return encode_basestring(text)  # of a column without precision
    return text


def _numeric_28_6(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if not _NUMBER(text):
        return _not_a_number(text)
    try:
        rounded = _EXACT.quantize(Decimal(text), _MICRO)
    except InvalidOperation:  # no number of PostgreSQL's
        return _numeric(value)
    return _numeric(f"{rounded:f}".encode())


def _cast_to_double(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if not _NUMBER(text) or len(text.lstrip("-")) <= _DMS_EXACT_DIGITS:
        return _number(value)
    number = float(text)
    short = f"{number:.14e}"
    mantissa, _, exponent = (short if float(short) == number else f"{number:.16e}").partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"


def _double(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if not _NUMBER(text):
        return _not_a_number(text)
    if len(text) <= 16:  # at most 15 digits: the server writes them as %.15g does
        return text
    number = float(text)
    if math.isinf(number):
        return text
    short = f"{number:.15g}"
    return short if float(short) == number else f"{number:.17g}"


def _single(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if not _NUMBER(text):
        return _not_a_number(text)
    number = float(text)
    if math.isinf(number):
        return text
    try:
        (number,) = _SINGLE.unpack(_SINGLE.pack(number))
    except OverflowError:
        return text
    return f"{number:.9g}"


def _money(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    match = _MONEY(text)  # as with lc_monetary = C
    if match is None:
        return encode_basestring(text)
    number = match[1] + match[2].replace(",", "")
    return number if _NUMBER(number) else encode_basestring(text)


def _boolean(value: bytes) -> str:
    if value == b"t":
        return "true"
    return "false" if value == b"f" else _string(value)


def _boolean_as_string(value: bytes) -> str:
    if value == b"t":
        return '"true"'
    return '"false"' if value == b"f" else _string(value)


def _bytes(prefix: str, *, upper: bool) -> Render:
    def render(value: bytes) -> str:
        try:
            digits = bytea_bytes(value).hex()
        except ValueError:
            return _string(value)
        return f'"{prefix}{digits.upper() if upper else digits}"'

    return render


def _timestamp(digits: int) -> Render:
    def render(value: bytes) -> str:
        if digits == 6 and _WHOLE_MICROSECONDS(value):
            text = value.decode()
            return f'"{text[:10]}T{text[11:26]}Z"'
        match = ISO_TIMESTAMP.fullmatch(value)
        if match is None or match[9]:  # infinity, or a date before Christ
            return _string(value)
        fraction = ""
        if digits:
            fraction = "." + (match[7] or b"").decode().ljust(digits, "0")
        if match[8] is None or match[8] == b"+00":
            text = value.decode()
            return f'"{text[: match.end(3)]}T{text[match.start(4) : match.end(6)]}{fraction}Z"'
        moment = _in_utc(match)
        return _string(value) if moment is None else f'"{moment}{fraction}Z"'

    return render


_MICROSECONDS: Final = {"timestamp": _timestamp(6), "timestamptz": _timestamp(6)}

_ISO: Final = "0000-00-00 00:00:00.000000"
_UUID: Final = "00000000-0000-0000-0000-000000000000"

_FORMS: Final[Mapping[Render, UsualForm]] = {
    _boolean: UsualForm('"true" if v == b"t" else "false"', 'v == b"t" or v == b"f"'),
    _number: UsualForm("v.decode()", "v.isdigit() and (v[0] != 48 or len(v) == 1)"),
    # No sign, and a zero at the front only before the point.
    _numeric: UsualForm(
        "v.decode()", 'v.translate(zeros) in decimals and (v[0] != 48 or v[1:2] == b".")'
    ),
    _string: UsualForm("quote(v.decode())"),
    # A word or a hash; the test ends at the first space of all others.
    _word: UsualForm("f'\"{v.decode()}\"' if v.isalnum() else quote(v.decode())"),
    _uuid: UsualForm("f'\"{v.decode()}\"'", f'v.translate(hex_zeros) == b"{_UUID}"'),
    _MICROSECONDS["timestamp"]: UsualForm(
        "f'\"{v.translate(iso).decode()}Z\"'", f'v.translate(zeros) == b"{_ISO}"'
    ),
    _MICROSECONDS["timestamptz"]: UsualForm(
        "f'\"{v.translate(iso)[:26].decode()}Z\"'",
        f'v.translate(zeros) == b"{_ISO}+00" and v[-2:] == b"00"',
    ),
}

NAMES: Final[Mapping[str, object]] = {
    **forms.NAMES,
    "decimals": frozenset(
        [
            b"0" * whole + b"." * (digits > 0) + b"0" * digits
            for whole in range(1, MAX_DIGITS)
            for digits in range(MAX_DIGITS - whole)
        ]
    ),
    "hex_zeros": bytes.maketrans(b"0123456789abcdef", b"0" * 16),
    "iso": bytes.maketrans(b" ", b"T"),
}
"""What the expressions of `usual_form` may call or use."""


def _in_utc(match: re.Match[bytes]) -> str | None:
    try:
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        local = datetime(year, month, day, hour, minute, second)
        return (local - timedelta(seconds=utc_offset(match[8]))).isoformat()
    except (ValueError, OverflowError):  # beyond the years that Python counts
        return None
