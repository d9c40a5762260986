from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.array_times import ARRAY_TEXTS
from pglogical_cdc.formatters.wire.times import date_converter, timestamp_converter

UNIX_EPOCH_JULIAN_DAY = 2_440_588


def _julian_day(year: int, month: int, day: int) -> int:
    """Return the Julian day number of a date in the Julian calendar (Fliegel and Van Flandern)."""
    years = year + 4800 - (14 - month) // 12
    months = month + 12 * ((14 - month) // 12) - 3
    return day + (153 * months + 2) // 5 + 365 * years + years // 4 - 32083


# What java.util.GregorianCalendar makes of the same labels.
@pytest.mark.parametrize(
    ("wire", "date_text", "timestamp_text"),
    [
        (b"2024-02-29", b"2024-02-29", b"2024-02-29 01:02:03.5"),
        (b"1582-10-15", b"1582-10-15", b"1582-10-15 01:02:03.5"),
        # Ten days that the calendar with both parts does not have.
        (b"1582-10-14", b"1582-10-24", b"1582-10-24 01:02:03.5"),
        (b"1582-10-05", b"1582-10-15", b"1582-10-15 01:02:03.5"),
        (b"1582-10-04", b"1582-10-04", b"1582-10-14 01:02:03.5"),
        (b"1100-12-31", b"1100-12-31", b"1101-01-07 01:02:03.5"),
        (b"1000-02-28", b"1000-02-28", b"1000-03-05 01:02:03.5"),
        (b"1000-03-01", b"1000-03-01", b"1000-03-07 01:02:03.5"),
        (b"0300-02-28", b"0300-02-28", b"0300-02-28 01:02:03.5"),
        (b"0300-03-01", b"0300-03-01", b"0300-03-02 01:02:03.5"),
        (b"0001-01-01", b"0001-01-01", b"0001-12-30 01:02:03.5 BC"),
        (b"0001-03-10", b"0001-03-10", b"0001-03-08 01:02:03.5"),
        # Years before the first lose their era in a date.
        (b"0001-01-01 BC", b"0001-01-01", b"0002-12-30 01:02:03.5 BC"),
        (b"0044-03-15 BC", b"0044-03-15", b"0044-03-13 01:02:03.5 BC"),
        (b"4713-01-01 BC", b"4713-01-01", b"4714-11-24 01:02:03.5 BC"),
        (b"10000-01-01", b"10000-01-01", b"10000-01-01 01:02:03.5"),
    ],
)
def test_dates(wire: bytes, date_text: bytes, timestamp_text: bytes) -> None:
    assert ARRAY_TEXTS["date"](wire) == date_text
    day, era, _ = wire.partition(b" BC")
    assert ARRAY_TEXTS["timestamp"](day + b" 01:02:03.5" + era) == timestamp_text


def test_timestamps_with_a_zone_keep_their_label_like_dates() -> None:
    convert = ARRAY_TEXTS["timestamptz"]
    assert convert(b"2024-02-29 01:02:03.5+00") == b"2024-02-29 01:02:03.5+00"
    assert convert(b"1000-02-28 01:02:03+00") == b"1000-02-28 01:02:03+00"
    assert convert(b"0044-03-15 01:02:03.5+00 BC") == b"0044-03-15 01:02:03.5+00"
    assert convert(b"1582-10-10 00:00:00+00") == b"1582-10-20 00:00:00+00"


def test_infinity() -> None:
    # The ends of Java's long in milliseconds; as dates their days overflow later.
    assert ARRAY_TEXTS["date"](b"infinity") == b"292278994-08-16"
    assert ARRAY_TEXTS["date"](b"-infinity") == b"292269055-12-02"
    assert ARRAY_TEXTS["timestamptz"](b"-infinity") == b"292269055-12-02 23:00:00+00"
    for name, text in (
        ("timestamptz", b"infinity"),
        ("timestamp", b"infinity"),
        ("timestamp", b"-infinity"),
    ):
        assert ARRAY_TEXTS[name](text) == text


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"13:14:15.123456", b"13:14:15.123"),
        (b"13:14:15.1", b"13:14:15.1"),
        (b"13:14:15", b"13:14:15"),
        (b"24:00:00", b"00:00:00"),
    ],
)
def test_times_have_milliseconds(wire: bytes, expected: bytes) -> None:
    assert ARRAY_TEXTS["time"](wire) == expected


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"13:14:15.123456+02", b"13:14:15+02"),
        (b"13:14:15-03:30", b"13:14:15-03:30"),
        (b"24:00:00+00", b"24:00:00+00"),
    ],
)
def test_times_with_a_zone_have_seconds(wire: bytes, expected: bytes) -> None:
    assert ARRAY_TEXTS["timetz"](wire) == expected


@given(st.dates(min_value=date(1582, 10, 15)))
def test_the_gregorian_calendar_is_left_alone(day: date) -> None:
    text = day.isoformat().encode()
    assert ARRAY_TEXTS["date"](text) == text
    for name, rest in (("timestamp", b" 01:02:03"), ("timestamptz", b" 01:02:03+00")):
        assert ARRAY_TEXTS[name](text + rest) == text + rest


@given(st.dates(max_value=date(1582, 10, 4)), st.booleans())
def test_earlier_timestamps_are_of_the_julian_calendar(day: date, bc: bool) -> None:
    wire = f"{day.isoformat()} 00:00:00{' BC' if bc else ''}".encode()
    text = ARRAY_TEXTS["timestamp"](wire)
    days = _julian_day(1 - day.year if bc else day.year, day.month, day.day) - UNIX_EPOCH_JULIAN_DAY
    assert timestamp_converter("ms")(text) == b"%d" % (days * 86_400_000)


@given(st.dates(max_value=date(1582, 10, 4)))
def test_earlier_dates_keep_their_label(day: date) -> None:
    text = day.isoformat().encode()
    assert ARRAY_TEXTS["date"](text) == ARRAY_TEXTS["date"](text + b" BC") == text


@given(st.sampled_from(sorted(ARRAY_TEXTS)), st.binary(max_size=20))
def test_other_text_does_no_harm(name: str, wire: bytes) -> None:
    assert isinstance(ARRAY_TEXTS[name](wire), bytes)


def test_no_other_type_is_changed() -> None:
    assert sorted(ARRAY_TEXTS) == ["date", "time", "timestamp", "timestamptz", "timetz"]
    # And alone, outside of an array, a date is as the server means it.
    assert date_converter()(b"0044-03-15 BC") == b"-735160"
