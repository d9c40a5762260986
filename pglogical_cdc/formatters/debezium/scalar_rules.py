"""The rule of each type that is no array: converter, schema, zero, placeholder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.formatters.debezium.connect_schema import (
    BOOLEAN,
    BYTES,
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    STRING,
    ConnectSchema,
    array_of,
    semantic,
    struct,
)
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.wire.binary import (
    base64_json,
    bits_json,
    bytea_converter,
    bytes_json,
)
from pglogical_cdc.formatters.wire.convert import (
    Convert,
    bool_json,
    plain_json,
    single_bit_json,
    withheld,
)
from pglogical_cdc.formatters.wire.geometry import java_geometry, point_json
from pglogical_cdc.formatters.wire.hstore import hstore_json, hstore_map_json
from pglogical_cdc.formatters.wire.java_text import float4_json, float8_json
from pglogical_cdc.formatters.wire.json_text import json_string, json_text, object_mapper_text, utf8
from pglogical_cdc.formatters.wire.numbers import (
    decimal_converter,
    decimal_form,
    double_json,
    money_converter,
    money_text,
    numeric_string_json,
    scaled_string_converter,
    unscaled_converter,
    variable_scale_json,
)
from pglogical_cdc.formatters.wire.times import (
    TimeUnit,
    date_converter,
    faithful_interval_json,
    faithful_interval_text_json,
    interval_json,
    interval_text_json,
    iso_form,
    time_converter,
    timestamp_converter,
    timestamptz_converter,
    timetz_json,
)
from pglogical_cdc.formatters.wire.usual_form import (
    BOOLEAN_FORM,
    QUOTED,
    TEXT_FORM,
    UsualForm,
)
from pglogical_cdc.formatters.wire.vectors import (
    float_vector_json,
    integer_vector_json,
    short_sparse_vector_json,
    sparse_vector_json,
    vector_json,
)
from pglogical_cdc.formatters.wire.wire_type import WireType

__all__ = (
    "ENUM",
    "INTEGERS",
    "STRINGS",
    "Otherwise",
    "TypeRule",
    "scalar_rule",
    "time_unit",
    "unknown_rule",
)


@record
class Otherwise:
    """What is written of a value that the schema of its type cannot hold: its text, mostly."""

    schema: ConnectSchema
    convert: Convert


@record
class TypeRule:
    """How values of a type are written."""

    schema: ConnectSchema
    convert: Convert | None
    """None if the wire text is JSON already."""
    zero: bytes
    """What stands for NULL in a column that is NOT NULL (the rest of a key image)."""
    unchanged: bytes | None = None
    """What stands for a TOASTed value that was not sent; None: NULL does."""
    otherwise: Otherwise | None = None
    """How a value is written that `convert` has no JSON for and that must not become NULL."""
    form: UsualForm | None = None
    """What `convert` makes of most values."""


ENUM: Final = "enum"
STRINGS: Final = frozenset(
    (
        *("text", "varchar", "bpchar", "char", "citext", "json", "jsonb", "xml", "uuid", "isbn"),
        *("inet", "cidr", "macaddr", "macaddr8", "ltree", "tsvector", ENUM),
        *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
    )
)
INTEGERS: Final = {"int2": INT16, "int4": INT32, "int8": INT64, "oid": INT64}

_MEANINGS: Final = {
    "uuid": "io.debezium.data.Uuid",
    "json": "io.debezium.data.Json",
    "jsonb": "io.debezium.data.Json",
    "xml": "io.debezium.data.Xml",
    "ltree": "io.debezium.data.Ltree",
    "tsvector": "io.debezium.data.Tsvector",
}
_PLAIN: Final = frozenset(("uuid", "inet", "cidr", "macaddr", "macaddr8"))
"""Types whose text needs no escapes."""
_UNBOUNDED: Final = 2147483647

# -- numbers

_MAX_SCALE: Final = 1000
"""More than this is a negative scale without its sign."""
_VARIABLE_SCALE: Final = struct(
    ("scale", INT32),
    ("value", BYTES),
    name="io.debezium.data.VariableScaleDecimal",
    doc="Variable scaled decimal",
)


def _decimal(scale: int, precision: int | None = None) -> ConnectSchema:
    parameters = [("scale", str(scale))]
    if precision is not None:
        parameters.append(("connect.decimal.precision", str(precision)))
    return semantic("bytes", "org.apache.kafka.connect.data.Decimal", *parameters)


def _string_zero(scale: int) -> bytes:
    return b'"0.%b"' % (b"0" * scale) if scale > 0 else b'"0"'


def _numeric(modifier: int, options: TypeOptions) -> TypeRule:
    # The low 11 bits of the modifier are the scale with a sign (manual: numeric(5,-2)); Debezium
    # reads them without one, so that a scale of -2 is 2046.
    scale = (modifier - 4) & 0x7FF if modifier >= 4 else 0
    if options.faithful and scale > _MAX_SCALE:
        scale -= 2048
    if options.decimal == "double":
        return TypeRule(DOUBLE, double_json, b"0.0")
    as_string = plain_json if options.faithful else numeric_string_json
    if options.decimal == "string":
        unchanged = _text_placeholder(options)
        convert = scaled_string_converter(scale) if scale > _MAX_SCALE else as_string
        return TypeRule(STRING, convert, _string_zero(scale), unchanged)
    # NaN and infinity are no bytes.
    otherwise = Otherwise(STRING, as_string)
    if modifier < 4:
        zero = b'{"scale":0,"value":"AA=="}'
        return TypeRule(_VARIABLE_SCALE, variable_scale_json, zero, otherwise=otherwise)
    schema = _decimal(scale, (modifier - 4) >> 16 & 0xFFFF)
    convert = decimal_converter(scale, options.decimal_format)
    zero = unscaled_converter(scale, options.decimal_format)(0)
    form = decimal_form(scale) if options.decimal_format == "BASE64" else None
    return TypeRule(schema, convert, zero, otherwise=otherwise, form=form)


def _money(modifier: int, options: TypeOptions) -> TypeRule:
    digits = options.money_fraction_digits
    if options.decimal == "double":
        return TypeRule(DOUBLE, lambda value: double_json(money_text(value)), b"0.0")
    if options.decimal == "string":
        zero = _string_zero(digits)
        return TypeRule(STRING, lambda value: numeric_string_json(money_text(value)), zero)
    convert = money_converter(digits, options.decimal_format)
    zero = unscaled_converter(digits, options.decimal_format)(0)
    return TypeRule(_decimal(digits), convert, zero)


def _bits(modifier: int, options: TypeOptions) -> TypeRule:
    if modifier == 1:
        return TypeRule(BOOLEAN, bool_json, b"false", form=BOOLEAN_FORM)
    return _bit_string(modifier)


def _varbit(modifier: int, options: TypeOptions) -> TypeRule:
    if modifier == 1:
        # It may be empty, and then is no truth value.
        otherwise = Otherwise(STRING, plain_json)
        return TypeRule(BOOLEAN, single_bit_json, b"false", otherwise=otherwise)
    return _bit_string(modifier)


def _bit_string(modifier: int) -> TypeRule:
    length = _UNBOUNDED if modifier < 0 else modifier
    schema = semantic("bytes", "io.debezium.data.Bits", ("length", str(length)))
    return TypeRule(schema, bits_json, b'""')


# -- text and bytes


def _text_placeholder(options: TypeOptions) -> bytes:
    return json_text(utf8(options.placeholder))


def _bytea(modifier: int, options: TypeOptions) -> TypeRule:
    unchanged: bytes | None = None
    if options.binary == "bytes":
        unchanged = base64_json(options.placeholder)
    elif options.binary == "hex":
        unchanged = _text_placeholder(options)
    schema = BYTES if options.binary == "bytes" else STRING
    return TypeRule(schema, bytea_converter(options.binary), b'""', unchanged)


_MAP: Final = ConnectSchema("map", keys=STRING, values=STRING.as_optional())


def _hstore(modifier: int, options: TypeOptions) -> TypeRule:
    if options.hstore == "map":
        key = _text_placeholder(options)
        return TypeRule(_MAP, hstore_map_json, b"{}", b"{%b:%b}" % (key, key))
    inner = object_mapper_text(utf8(options.placeholder))
    schema = semantic("string", "io.debezium.data.Json")
    return TypeRule(schema, hstore_json, b'"{}"', json_text(f"{{{inner}:{inner}}}"))


def _name(modifier: int, options: TypeOptions) -> TypeRule:
    # Debezium 3.6.3 loses it when it streams, unless it is told to keep unknown types.
    kept = options.include_unknown or options.faithful
    return TypeRule(STRING, json_string if kept else withheld, b'""')


# -- dates and times

_TIME_NAMES: Final[dict[TimeUnit, tuple[str, str]]] = {
    "ms": ("io.debezium.time.Time", "io.debezium.time.Timestamp"),
    "us": ("io.debezium.time.MicroTime", "io.debezium.time.MicroTimestamp"),
    "ns": ("io.debezium.time.NanoTime", "io.debezium.time.NanoTimestamp"),
    "iso": ("io.debezium.time.IsoTime", "io.debezium.time.IsoTimestamp"),
}
_UNITS: Final[dict[str, TimeUnit]] = {
    "connect": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "isostring": "iso",
}


def time_unit(name: str, modifier: int, options: TypeOptions) -> TimeUnit:
    """Return what ``time`` or ``timestamp`` of a precision is counted in."""
    if options.time == "adaptive_time_microseconds" and name == "time":
        return "us"
    adapted: TimeUnit = "ms" if 0 <= modifier <= 3 else "us"
    return _UNITS.get(options.time, adapted)


def _date(modifier: int, options: TypeOptions) -> TypeRule:
    iso = options.time == "isostring"
    convert = date_converter(iso=iso, faithful=options.faithful)
    if iso:
        return TypeRule(semantic("string", "io.debezium.time.IsoDate"), convert, b'"1970-01-01Z"')
    name = "io.debezium.time.Date"
    if options.time == "connect":
        name = "org.apache.kafka.connect.data.Date"
    return TypeRule(semantic("int32", name), convert, b"0")


def _time(modifier: int, options: TypeOptions) -> TypeRule:
    unit = time_unit("time", modifier, options)
    name = _TIME_NAMES[unit][0]
    if options.time == "connect":
        name = "org.apache.kafka.connect.data.Time"
    zero = b'"00:00:00Z"' if unit == "iso" else b"0"
    schema = semantic("string" if unit == "iso" else "int32" if unit == "ms" else "int64", name)
    return TypeRule(schema, time_converter(unit), zero)


_FAR_TIMESTAMP: Final = Otherwise(
    semantic("string", "io.debezium.time.IsoTimestamp"), timestamp_converter("iso")
)
"""What 64 bits cannot count."""


def _timestamp(modifier: int, options: TypeOptions) -> TypeRule:
    unit = time_unit("timestamp", modifier, options)
    name = _TIME_NAMES[unit][1]
    if options.time == "connect":
        name = "org.apache.kafka.connect.data.Timestamp"
    zero = b'"1970-01-01T00:00:00Z"' if unit == "iso" else b"0"
    schema = semantic("string" if unit == "iso" else "int64", name)
    convert = timestamp_converter(unit, faithful=options.faithful)
    return TypeRule(schema, convert, zero, otherwise=_FAR_TIMESTAMP)


def _timestamptz(modifier: int, options: TypeOptions) -> TypeRule:
    precision = modifier if 0 <= modifier <= 6 else 6
    schema = semantic("string", "io.debezium.time.ZonedTimestamp")
    return TypeRule(
        schema,
        timestamptz_converter(precision),
        b'"1970-01-01T00:00:00Z"',
        form=iso_form(precision, zone=True),
    )


_LONG_INTERVAL: Final = Otherwise(
    semantic("string", "io.debezium.time.Interval"), faithful_interval_text_json
)
"""What 64 bits cannot count."""


def _interval(modifier: int, options: TypeOptions) -> TypeRule:
    if options.interval == "string":
        convert = faithful_interval_text_json if options.faithful else interval_text_json
        return TypeRule(_LONG_INTERVAL.schema, convert, b'"P0Y0M0DT0H0M0S"')
    schema = semantic("int64", "io.debezium.time.MicroDuration")
    if not options.faithful:
        return TypeRule(schema, interval_json, b"0")
    return TypeRule(schema, faithful_interval_json, b"0", otherwise=_LONG_INTERVAL)


# -- all

_POINT: Final = struct(
    ("x", DOUBLE),
    ("y", DOUBLE),
    ("wkb", BYTES.as_optional()),
    ("srid", INT32.as_optional()),
    name="io.debezium.data.geometry.Point",
    doc="Geometry (POINT)",
)


def _sparse_vector(index: ConnectSchema) -> ConnectSchema:
    return struct(
        ("dimensions", index),
        ("vector", ConnectSchema("map", keys=index, values=DOUBLE)),
        name="io.debezium.data.SparseDoubleVector",
        doc="Sparse double vector",
    )


def _integer_vector(item: ConnectSchema, options: TypeOptions) -> TypeRule:
    # Debezium takes them for arrays, whose text has braces, and finds no number in theirs.
    schema = array_of(item)
    convert = integer_vector_json if options.faithful else _lost_vector_json
    return TypeRule(schema, convert, b"[]", otherwise=Otherwise(schema, integer_vector_json))


def _lost_vector_json(value: bytes) -> bytes | None:
    return b"[]" if value else None


_FIXED: Final[dict[str, TypeRule]] = {
    **{name: TypeRule(schema, None, b"0") for name, schema in INTEGERS.items()},
    "bool": TypeRule(BOOLEAN, bool_json, b"false", form=BOOLEAN_FORM),
    "float4": TypeRule(FLOAT, float4_json, b"0.0"),
    "float8": TypeRule(DOUBLE, float8_json, b"0.0"),
    "timetz": TypeRule(
        semantic("string", "io.debezium.time.ZonedTime"), timetz_json, b'"00:00:00Z"'
    ),
    "point": TypeRule(_POINT, point_json, point_json(b"(0,0)")),
    "vector": TypeRule(array_of(DOUBLE, "io.debezium.data.DoubleVector"), vector_json, b"[]"),
    "halfvec": TypeRule(array_of(FLOAT, "io.debezium.data.FloatVector"), float_vector_json, b"[]"),
    "sparsevec": TypeRule(
        _sparse_vector(INT16),
        short_sparse_vector_json,
        b'{"dimensions":0,"vector":[]}',
        otherwise=Otherwise(_sparse_vector(INT32), sparse_vector_json),
    ),
}
_MADE: Final[dict[str, Callable[[int, TypeOptions], TypeRule]]] = {
    "bit": _bits,
    "varbit": _varbit,
    "bytea": _bytea,
    "date": _date,
    "hstore": _hstore,
    "int2vector": lambda modifier, options: _integer_vector(INT16, options),
    "interval": _interval,
    "money": _money,
    "name": _name,
    "numeric": _numeric,
    "oidvector": lambda modifier, options: _integer_vector(INT64, options),
    "time": _time,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
}


def scalar_rule(wire_type: WireType, options: TypeOptions) -> TypeRule | None:
    """Return the rule of a type, or of an array's element; None if Debezium does not know it."""
    # Enums, and domains over them (at which Debezium stops), are strings.
    name = ENUM if wire_type.kind == "e" else wire_type.name
    if name is None:
        return None
    if name in STRINGS:
        schema = STRING
        if name == ENUM:
            allowed = ",".join(wire_type.labels)
            schema = semantic("string", "io.debezium.data.Enum", ("allowed", allowed))
        elif name in _MEANINGS:
            schema = semantic("string", _MEANINGS[name])
        convert, form = (plain_json, QUOTED) if name in _PLAIN else (json_string, TEXT_FORM)
        return TypeRule(schema, convert, b'""', _text_placeholder(options), form=form)
    made = _MADE.get(name)
    rule = _FIXED.get(name) if made is None else made(wire_type.modifier, options)
    if rule is not None and name == "hstore" and wire_type.is_domain and not options.faithful:
        # Debezium has a placeholder for the type itself; of a domain over it, that of a string.
        unchanged = _text_placeholder(options) if options.hstore == "json" else None
        return evolve(rule, unchanged=unchanged)
    return rule


_GEOMETRIC: Final = frozenset(("line", "lseg", "box", "path", "polygon", "circle"))


def unknown_rule(wire_type: WireType, options: TypeOptions) -> TypeRule | None:
    """Return the rule of a type that Debezium does not know; None if it leaves the column out."""
    if not options.include_unknown:
        return None
    bytea = _bytea(-1, options)
    text_of = java_geometry if wire_type.name in _GEOMETRIC and not options.faithful else bytes

    def unknown_json(value: bytes) -> bytes:
        return bytes_json(text_of(value), options.binary)

    return evolve(bytea, convert=unknown_json)
