from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pglogical_cdc.parsers.debezium.connect_times import (
    date_text,
    duration_text,
    interval_text,
    iso_date_text,
    iso_time_text,
    iso_timestamp_text,
    time_text,
    timestamp_text,
)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "1970-01-01"),
        (19782, "2024-02-29"),
        (-719162, "0001-01-01"),
        (-719163, "0001-12-31 BC"),
        (-735160, "0044-03-15 BC"),
        (-2440588, "4714-11-24 BC"),
        (2145042905, "5874897-12-31"),
        (2147483647, "infinity"),
        (-2147483648, "-infinity"),
        (-2147472692, "infinity"),
        (-2147472691, "-infinity"),
    ],
)
def test_a_date_of_any_era(days: int, text: str) -> None:
    assert date_text(days) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (1000, 47_655_123, "13:14:15.123000"),
        (1, 47_655_123_456, "13:14:15.123456"),
        (-1000, 47_655_123_456_000, "13:14:15.123456"),
        (1, 0, "00:00:00"),
        (1, 86_400_000_000, "24:00:00"),
    ],
)
def test_a_time_in_its_unit(unit: int, value: int, text: str) -> None:
    assert time_text(unit)(value) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (1000, 1_709_212_455_123, "2024-02-29 13:14:15.123000"),
        (1, 1_709_212_455_123_456, "2024-02-29 13:14:15.123456"),
        (-1000, 1_709_212_455_123_456_000, "2024-02-29 13:14:15.123456"),
        (1, -1, "1969-12-31 23:59:59.999999"),
        (1, -63_517_824_000_000_000, "0044-03-15 00:00:00 BC"),
        (1, 9_223_372_036_825_200_000, "infinity"),
        (1, -9_223_372_036_832_400_000, "-infinity"),
        (1000, 9_223_372_036_825_200, "infinity"),
        (1000, 9_223_372_036_854_775_807, "infinity"),
        (-1000, -9_223_372_036_854_775_808, "-infinity"),
        # What is infinity in one unit is a time like others in another.
        (1, 9_223_372_036_825_200, "2262-04-11 23:47:16.825200"),
        (-1000, 9_223_372_036_825_200_000, "2262-04-11 23:47:16.825200"),
    ],
)
def test_a_timestamp_in_its_unit(unit: int, value: int, text: str) -> None:
    assert timestamp_text(unit)(value) == text


@pytest.mark.parametrize(
    ("to_text", "value", "text"),
    [
        (iso_date_text, "2024-02-29Z", "2024-02-29"),
        (iso_date_text, "-0043-03-15Z", "0044-03-15 BC"),
        (iso_date_text, "+294276-12-31Z", "294276-12-31"),
        (iso_date_text, "infinity", "infinity"),
        (iso_time_text("+00"), "11:14:15Z", "11:14:15+00"),
        (iso_time_text(""), "13:14:15.123456Z", "13:14:15.123456"),
        (iso_timestamp_text("+00"), "2024-02-29T11:14:16Z", "2024-02-29 11:14:16+00"),
        (iso_timestamp_text("+00"), "-0043-03-15T01:02:03.5Z", "0044-03-15 01:02:03.5+00 BC"),
        (iso_timestamp_text(""), "-infinity", "-infinity"),
    ],
)
def test_iso_8601(to_text: Callable[[Any], str], value: str, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("P0Y0M0DT0H0M0S", "00:00:00"),
        ("P1Y2M3DT4H5M6.789S", "1 years 2 mons 3 days 04:05:06.789000"),
        ("P-1Y-2M-3DT-4H-5M-6.789S", "-1 years -2 mons -3 days -04:05:06.789000"),
        ("P0Y0M0DT0H0M-0.5S", "-00:00:00.500000"),
        ("P0Y0M0DT100H0M0.000001S", "100:00:00.000001"),
        ("infinity", "infinity"),
    ],
)
def test_an_iso_interval(value: str, text: str) -> None:
    assert interval_text(value) == text


def test_an_interval_in_microseconds() -> None:
    assert duration_text(-90_000_001) == "-00:01:30.000001"
    assert duration_text(360_000_000_000) == "100:00:00"
    assert duration_text(9_223_372_036_854_775_807) == "2562047788:00:54.775807"


@pytest.mark.parametrize("to_text", [interval_text, iso_date_text, iso_timestamp_text("")])
def test_another_text_is_refused(to_text: Callable[[Any], str]) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        to_text("yesterday")
