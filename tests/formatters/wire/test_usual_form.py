from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.convert import Convert, bool_json, plain_json
from pglogical_cdc.formatters.wire.json_text import json_string
from pglogical_cdc.formatters.wire.numbers import decimal_converter, decimal_form
from pglogical_cdc.formatters.wire.times import iso_form, timestamptz_converter
from pglogical_cdc.formatters.wire.usual_form import (
    AS_IT_IS,
    BOOLEAN_FORM,
    NAMES,
    QUOTED,
    TEXT_FORM,
    PartlyUsual,
    UsualForm,
)

USUAL: dict[str, tuple[UsualForm | None, Convert, list[bytes]]] = {
    "as it is": (AS_IT_IS, lambda value: value, [b"1", b"-20"]),
    "quoted": (QUOTED, plain_json, [b"0e37df36-f698-11e6-8dd4-cb9ced3df976", b"::1/128"]),
    "boolean": (BOOLEAN_FORM, bool_json, [b"t", b"f", b"1", b"0"]),
    "text": (TEXT_FORM, json_string, [b"", b'a"\n\\b', b"\\u0041"[:1], b"\x7f"]),
    **{
        f"numeric({scale})": (decimal_form(scale), decimal_converter(scale), texts)
        for scale, texts in {
            0: [b"0", b"-1", b"127", b"-128", b"128", b"99999999999999999999"],
            2: [
                *(b"0.00", b"-0.01", b"12345678.90", b"-1.28", b"2.55", b"2.56", b"327.67"),
                *(b"327.68", b"83886.07", b"83886.08", b"-327.68", b"-327.69", b"-83886.09"),
            ],
            7: [b"1.0000001", b"-0.0000000"],
        }.items()
    },
    **{
        f"timestamptz({precision})": (
            iso_form(precision, zone=True),
            timestamptz_converter(precision),
            [b"2024-02-29 23:59:59%b+00" % fraction],
        )
        for precision, fraction in {0: b"", 3: b".123", 6: b".123456"}.items()
    },
}


def _json(form: UsualForm, value: bytes) -> str | None:
    """Return what a form makes of a value, None of one of another form."""
    names = {**NAMES, "v": value}
    try:
        found = form.test is None or eval(form.test, names)
        return eval(form.json, names) if found else None
    except Exception:
        return None


@pytest.mark.parametrize("name", USUAL)
def test_usual_values_are_of_the_form(name: str) -> None:
    form, convert, values = USUAL[name]
    assert form is not None
    for value in values:
        assert _json(form, value) == (convert(value) or b"").decode()


@pytest.mark.parametrize("name", USUAL)
@given(st.data())
def test_what_is_of_the_form_is_written_as_the_converter_does(
    name: str, data: st.DataObject
) -> None:
    form, convert, values = USUAL[name]
    assert form is not None
    value = bytearray(data.draw(st.sampled_from(values)))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(value)))
        put = data.draw(
            st.sampled_from([b"", b"0", b"9", b".", b"-", b" ", b"+", b"N", b"\xc3\xa9"])
        )
        value[at : at + data.draw(st.integers(0, 1))] = put
    json = _json(form, bytes(value))
    if json is not None:
        assert json.encode() == convert(bytes(value))


def _column(form: UsualForm, texts: list[str]) -> list[str | None]:
    """Return what a form makes of many values, None for those of another form."""
    assert form.column is not None
    try:
        found = form.column(texts)
    except (ValueError, LookupError):
        found = None
    assert found is None or None not in found or isinstance(found, PartlyUsual)
    return [None] * len(texts) if found is None else list(found)


@pytest.mark.parametrize("name", USUAL)
def test_many_usual_values_are_of_the_form(name: str) -> None:
    form, convert, values = USUAL[name]
    assert form is not None
    expected = [(convert(value) or b"").decode() for value in values]
    assert _column(form, [value.decode() for value in values]) == expected
    assert _column(form, [values[0].decode()]) == expected[:1]


@pytest.mark.parametrize("name", USUAL)
@given(st.data())
def test_many_values_are_written_as_the_converter_does(name: str, data: st.DataObject) -> None:
    form, convert, values = USUAL[name]
    assert form is not None
    texts = []
    for _ in range(data.draw(st.integers(1, 3))):
        letters = [*data.draw(st.sampled_from(values)).decode()]
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(letters)))
            put = data.draw(st.sampled_from(["", "0", "9", ".", "-", " ", "+", "N", "é", "\n"]))
            letters[at : at + data.draw(st.integers(0, 1))] = put
        texts.append("".join(letters))
    for text, json in zip(texts, _column(form, texts), strict=True):
        assert json is None or json.encode() == convert(text.encode())


def test_values_of_another_form_do_not_spoil_the_others() -> None:
    assert _column(TEXT_FORM, ["a", "é", "\x01", "b"]) == ['"a"', None, None, '"b"']
    whole, short = "2024-02-29 23:59:59.123456+00", "2024-02-29 23:59:59.12345+00"
    form = iso_form(6, zone=True)
    assert _column(form, [short, whole, short]) == [None, '"2024-02-29T23:59:59.123456Z"', None]


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (TEXT_FORM, b"\x01"),
        (TEXT_FORM, "\xe9".encode()),
        (TEXT_FORM, b"\xff"),
        (decimal_form(2), b"NaN"),
        (decimal_form(2), b"Infinity"),
        (decimal_form(2), b"1.0"),
        (decimal_form(2), b"."),
        (decimal_form(0), b"NaN"),
        (decimal_form(0), b"-Infinity"),
        (iso_form(6, zone=True), b"2024-02-29 23:59:59.123456+01"),
        (iso_form(6, zone=True), b"2024-02-29 23:59:59+00"),
        (iso_form(6, zone=False), b"2024-02-29 23:59:59.123456+00"),
        (iso_form(6, zone=True), b"infinity"),
    ],
)
def test_what_is_of_another_form(form: UsualForm, value: bytes) -> None:
    assert _json(form, value) is None
    if value != b"\xff":
        assert _column(form, [value.decode()]) == [None]


def test_a_negative_scale_has_no_usual_form() -> None:
    assert decimal_form(-2) is None
