from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Decimal128
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.events import CatalogType
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.sinks.mongodb.bson_values import bson_value, document_id
from tests.formatters.tables import column
from tests.handlers.changes import row, table

UUID_TEXT = "0b54e8f2-98b0-4e0a-9a6c-2f1d3c4b5a69"
DIGITS = "1234567890123456789012345678901234"


def converted(type_name: str, text: str | bytes | None, **options: Any) -> Any:
    of = table(column("v", type_name, **options), key=("v",))
    return bson_value(row(of, text), "v")


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("bool", "t", True),
        ("bool", "f", False),
        ("int2", "-32768", -32768),
        ("int8", "9223372036854775807", 2**63 - 1),
        ("oid", "4294967295", 2**32 - 1),
        ("float4", "1.1", 1.1),
        ("float8", "-Infinity", float("-inf")),
        ("numeric", "1.50", Decimal128("1.50")),
        ("numeric", DIGITS, Decimal128(DIGITS)),
        ("numeric", "-Infinity", Decimal128("-Infinity")),
        ("numeric", DIGITS + ".5", DIGITS + ".5"),
        ("numeric", "1" + "0" * 7000, "1" + "0" * 7000),
        ("text", "grün", "grün"),
        ("text", "", ""),
        ("bpchar", "a  ", "a  "),
        ("bit", "0101", "0101"),
        ("money", "$1.00", "$1.00"),
        ("bytea", "\\x00ff", b"\x00\xff"),
        ("uuid", UUID_TEXT, Binary(UUID(UUID_TEXT).bytes, 4)),
        ("date", "2026-02-28", datetime(2026, 2, 28)),
        ("date", "infinity", "infinity"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("timestamp", "2026-02-28 10:11:12.345678", datetime(2026, 2, 28, 10, 11, 12, 345678)),
        (
            "timestamptz",
            "2026-02-28 10:11:12.345678+02",
            datetime(2026, 2, 28, 8, 11, 12, 345678, timezone.utc),
        ),
        ("timestamptz", "0001-01-01 00:00:00+02", "0001-01-01 00:00:00+02"),
        ("time", "10:11:12.5", "10:11:12.5"),
        ("timetz", "10:11:12+02", "10:11:12+02"),
        ("interval", "1 mon -2 days", "1 mon -2 days"),
        ("interval", "3 days 04:05:06", "3 days 04:05:06"),
        ("inet", "10.0.0.1/24", "10.0.0.1/24"),
        ("cidr", "10.0.0.0/24", "10.0.0.0/24"),
        ("int4range", "[1,5)", "[1,5)"),
        ("nummultirange", "{[1.5,2),[3,)}", "{[1.5,2),[3,)}"),
        ("point", "(1,2)", "(1,2)"),
        ("xml", "<a/>", "<a/>"),
        ("jsonb", '{"a": [1, 2.5, null, {"$b.c": "x"}]}', {"a": [1, 2.5, None, {"$b.c": "x"}]}),
        ("json", "18446744073709551616", Decimal128("18446744073709551616")),
        ("json", '["\\ud800"]', '["\\ud800"]'),
        ("json", '{"\\u0000": 1}', '{"\\u0000": 1}'),
        ("json", '"a\\u0000b"', "a\0b"),
        ("json", "[" * 91 + "]" * 91, "[" * 91 + "]" * 91),
        ("_int4", "{1,NULL,3}", [1, None, 3]),
        ("_text", "{{a,b},{c,d}}", [["a", "b"], ["c", "d"]]),
        ("_numeric", "{1.50}", [Decimal128("1.50")]),
        ("_time", "{10:11:12}", ["10:11:12"]),
        ("_inet", "{10.0.0.1/24,::1}", ["10.0.0.1/24", "::1"]),
        ("_interval", '{"1 day"}', '{"1 day"}'),
        ("_int4range", '{"[1,5)"}', '{"[1,5)"}'),
    ],
)
def test_a_value(type_name: str, text: str, value: Any) -> None:
    found = converted(type_name, text)
    assert found == value
    assert type(found) is type(value)
    bson.encode({"v": found})


def test_null_and_nan() -> None:
    assert converted("text", None) is None
    assert str(converted("numeric", "NaN")) == "NaN"
    found = converted("float8", "NaN")
    assert found != found


COMPOSITE = CatalogType(
    oid=90001, schema="public", name="spot", kind="c", fields=(("x", 23), ("y", 25))
)


def test_a_composite_is_its_text() -> None:
    of = table(column("v", oid=90001, type_name="spot"), key=("v",), types=[COMPOSITE])
    assert bson_value(row(of, '(1,"a b")'), "v") == '(1,"a b")'


def test_values_in_binary_form() -> None:
    of = table(column("v", "int4"), column("d", "interval"), key=("v",))
    sent = row(of, BinaryValue(b"\0\0\0\7"), BinaryValue(b"\0" * 8 + b"\0\0\0\2" + b"\0" * 4))
    assert bson_value(sent, "v") == 7
    assert bson_value(sent, "d") == "2 days, 0:00:00"


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_whatever_json_holds_bson_takes_it(content: Any) -> None:
    found = converted("json", json.dumps(content))
    bson.encode({"v": found})
    if isinstance(content, str | list | dict) and not isinstance(found, type(content)):
        assert json.loads(found) == content


# -- _id


def test_an_id_of_one_column_is_its_value() -> None:
    assert document_id({"id": 7}) == 7
    assert document_id({"id": UUID(UUID_TEXT)}) == Binary(UUID(UUID_TEXT).bytes, 4)
    assert document_id({"id": date(2026, 2, 28)}) == datetime(2026, 2, 28)


def test_an_id_of_several_columns_keeps_their_order() -> None:
    found = document_id({"b": "x", "a": 1})
    assert isinstance(found, dict)
    assert list(found.items()) == [("b", "x"), ("a", 1)]


@pytest.mark.parametrize("value", [[1, 2], {"$gt": 1}])
def test_what_cannot_be_an_id_is_in_a_document(value: Any) -> None:
    assert document_id({"k": value}) == {"k": value}


def test_timestamps_of_an_id_keep_all_digits() -> None:
    moment = datetime(2026, 2, 28, 10, 11, 12, 345678)
    assert document_id({"t": moment}) == "2026-02-28T10:11:12.345678"
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=2)))
    assert document_id({"t": zoned}) == "2026-02-28T08:11:12.345678+00:00"
    # In another session's time zone it is the same moment.
    assert document_id({"t": zoned.astimezone(timezone.utc)}) == document_id({"t": zoned})
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert document_id({"t": early}) == "0001-01-01 00:00:00+02:00"


@pytest.mark.parametrize(
    ("value", "same"),
    [("1.50", "1.5"), ("100", "100"), ("100.00", "100"), ("0.00", "0"), ("1E+40", "1E+40")],
)
def test_equal_numerics_are_one_id(value: str, same: str) -> None:
    assert document_id({"n": Decimal(value)}) == Decimal128(same)


def test_numbers_of_an_id_that_are_special() -> None:
    assert str(document_id({"n": Decimal("NaN")})) == "NaN"
    assert document_id({"n": Decimal(DIGITS + ".25")}) == DIGITS + ".25"
    assert str(document_id({"n": -0.0})) == "0.0"


def test_all_else_of_an_id_is_text() -> None:
    assert document_id({"d": timedelta(days=2)}) == "2 days, 0:00:00"
