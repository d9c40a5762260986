from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.dms.layout import timestamp
from pglogical_cdc.parsers.dms.iso_times import (
    date_text,
    microseconds,
    time_text,
    timestamptz_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2010-11-01T00:02:00.100000Z", "2010-11-01 00:02:00.1+00"),
        ("2025-06-21T12:06:46Z", "2025-06-21 12:06:46+00"),
        ("2025-06-21T12:06:46.000000Z", "2025-06-21 12:06:46+00"),
        ("12345-06-21T12:06:46.5Z", "12345-06-21 12:06:46.5+00"),
        ("0044-03-15 12:00:00 BC", "0044-03-15 12:00:00+00 BC"),
        ("0044-03-15 12:00:00.5+00 BC", "0044-03-15 12:00:00.5+00 BC"),
        ("2025-06-21 12:06:46+05:30", "2025-06-21 12:06:46+05:30"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
    ],
)
def test_timestamps(text: str, expected: str) -> None:
    assert timestamptz_text(text) == expected


@pytest.mark.parametrize("text", ["2018-01-02", "0044-03-15 BC", "infinity", "-infinity"])
def test_dates_are_those_of_the_server(text: str) -> None:
    assert date_text(text) == text


@pytest.mark.parametrize("text", ["13:14:15", "24:00:00", "13:14:15.2+02", "13:14:15-00:30:15"])
def test_times_are_those_of_the_server(text: str) -> None:
    assert time_text(text) == text


@pytest.mark.parametrize("convert", [date_text, time_text, timestamptz_text, microseconds])
@pytest.mark.parametrize(
    "text", ["", "now", "2018-1-2", "99", "2018-01-02T00:00:00.Z", "٢٠١٨-٠١-٠٢"]
)
def test_what_is_no_time_is_refused(convert: object, text: str) -> None:
    assert callable(convert)
    with pytest.raises(ValueError, match="no "):
        convert(text)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_microseconds_are_those_that_were_written(moment: int) -> None:
    assert microseconds(timestamp(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:00:01Z", 1_000_000), ("1970-01-01T00:00:00.123456789Z", 123_456)],
)
def test_other_engines_have_other_fractions(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize("text", ["2023-02-29T00:00:00Z", "0000-01-01T00:00:00Z"])
def test_a_day_that_never_was_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        microseconds(text)
