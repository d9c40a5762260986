from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.times import (
    ISO_TIMESTAMP,
    array_time_converter,
    date_json,
    interval_json,
    interval_text_json,
    time_converter,
    timestamp_converter,
    timestamptz_converter,
    timetz_json,
    utc_offset,
)

_EPOCH = datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        (b"", 0),
        (b"+00", 0),
        (b"+05:30", 19_800),
        (b"-03:30:15", -12_615),
        (b"+00:53:28", 3208),
    ],
)
def test_utc_offset(text: bytes | None, seconds: int) -> None:
    assert utc_offset(text) == seconds


def test_iso_timestamp_has_its_parts() -> None:
    match = ISO_TIMESTAMP.fullmatch(b"0044-03-15 12:01:02.5-03:30 BC")
    assert match is not None
    assert match.groups() == (
        *(b"0044", b"03", b"15", b"12", b"01", b"02"),
        *(b"5", b"-03:30", b" BC"),
    )


@pytest.mark.parametrize(
    "text",
    [
        b"infinity",
        b"2024-02-29",
        b"2024-02-29T12:00:00",
        b"2024-02-29 12:00:00.",
        b"2024-02-29 12:00:00+5",
        b"2024-02-29 12:00:00+05:",
        b"2024-02-29 12:00:00\n",
    ],
)
def test_other_text_is_no_iso_timestamp(text: bytes) -> None:
    assert ISO_TIMESTAMP.fullmatch(text) is None


class TestDate:
    @pytest.mark.parametrize(
        ("wire", "days"),
        [
            (b"1970-01-01", 0),
            (b"2024-02-29", 19782),
            (b"0001-01-01", -719162),
            (b"0044-03-15 BC", -735160),
            (b"5874897-12-31", 2145042905),
            (b"infinity", -2147472692),
            (b"-infinity", -2147472691),
        ],
    )
    def test_days(self, wire: bytes, days: int) -> None:
        assert date_json(wire) == b"%d" % days

    @given(st.dates())
    def test_any_date_of_python(self, day: date) -> None:
        assert date_json(day.isoformat().encode()) == b"%d" % (day - date(1970, 1, 1)).days

    def test_refuses_other_styles(self) -> None:
        with pytest.raises(ValueError, match="ISO"):
            date_json(b"29/02/2024 BC")


class TestTime:
    @pytest.mark.parametrize(
        ("wire", "microseconds"),
        [
            (b"00:00:00", 0),
            (b"13:14:15.123456", 47655123456),
            (b"13:14:15.6", 47655600000),
            (b"24:00:00", 86400000000),
        ],
    )
    def test_units(self, wire: bytes, microseconds: int) -> None:
        assert time_converter("us")(wire) == b"%d" % microseconds
        assert time_converter("ms")(wire) == b"%d" % (microseconds // 1000)
        assert time_converter("ns")(wire) == b"%d" % (microseconds * 1000)

    def test_arrays_lose_microseconds(self) -> None:
        wire = b"13:14:15.123456"
        assert array_time_converter("us")(wire) == b"47655123000"
        assert array_time_converter("ms")(wire) == b"47655123"
        assert array_time_converter("ns")(wire) == b"47655123000000"

    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"13:14:15.123456+02", b'"11:14:15.123456Z"'),
            (b"13:14:15+05:30", b'"07:44:15Z"'),
            (b"13:14:15.120-03:30", b'"16:44:15.12Z"'),
            (b"00:00:00+15", b'"09:00:00Z"'),
            (b"24:00:00+00", b'"00:00:00Z"'),
            (b"01:02:03-00:00:30", b'"01:02:33Z"'),
        ],
    )
    def test_timetz_is_utc(self, wire: bytes, expected: bytes) -> None:
        assert timetz_json(wire) == expected

    @given(st.times(), st.integers(-15 * 3600 + 1, 15 * 3600 - 1))
    def test_any_timetz(self, moment: time, offset: int) -> None:
        sign, (minutes, seconds) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
        zone = f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        day = datetime.combine(date(2000, 1, 2), moment) - timedelta(seconds=offset)
        text = json.loads(timetz_json(f"{moment.isoformat()}{zone}".encode()))
        assert time.fromisoformat(text[:8]) == day.time().replace(microsecond=0)
        assert (text[8:-1] or ".0") == f".{moment.microsecond:06}".rstrip("0").ljust(2, "0")


class TestTimestamp:
    @pytest.mark.parametrize(
        ("wire", "milliseconds", "microseconds"),
        [
            (b"2024-02-29 13:14:15.123456", 1709212455123, 1709212455123456),
            (b"1969-12-31 23:59:59.999999", -1, -1),
            (b"0044-03-15 01:02:03.5 BC", -63517820276500, -63517820276500000),
            (b"294276-12-31 23:59:59.999999", 9224318015999999, -9223372036853775810),
            (b"infinity", 9223372036825200, 9223372036825200000),
            (b"-infinity", -9223372036832400, -9223372036832400000),
        ],
    )
    def test_units(self, wire: bytes, milliseconds: int, microseconds: int) -> None:
        assert timestamp_converter("ms")(wire) == b"%d" % milliseconds
        assert timestamp_converter("us")(wire) == b"%d" % microseconds

    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"2024-02-29 13:14:15.123456", b"1709212455123456000"),
            (b"infinity", b"9223372036854775807"),
            (b"-infinity", b"-9223372036854775808"),
            (b"9999-12-31 00:00:00", None),
            (b"0001-01-01 00:00:00", None),
        ],
    )
    def test_nanoseconds(self, wire: bytes, expected: bytes | None) -> None:
        assert timestamp_converter("ns")(wire) == expected

    @given(st.datetimes())
    def test_any_datetime_of_python(self, moment: datetime) -> None:
        wire = moment.isoformat(" ").encode()
        expected = (moment - _EPOCH) // timedelta(microseconds=1)
        assert timestamp_converter("us")(wire) == b"%d" % expected

    @pytest.mark.parametrize(
        ("precision", "wire", "expected"),
        [
            (6, b"2024-02-29 11:14:15.1+00", "2024-02-29T11:14:15.100000Z"),
            (6, b"2024-02-29 11:14:15+00", "2024-02-29T11:14:15.000000Z"),
            (3, b"2024-02-29 11:14:15.124+00", "2024-02-29T11:14:15.124Z"),
            (0, b"2024-02-29 11:14:16+00", "2024-02-29T11:14:16Z"),
            (6, b"2024-02-29 13:14:15+02", "2024-02-29T11:14:15.000000Z"),
            (6, b"2024-02-29 01:14:15.5+05:30", "2024-02-28T19:44:15.500000Z"),
            (3, b"0044-03-15 01:02:03.5+00 BC", "-0043-03-15T01:02:03.500Z"),
            (6, b"0001-12-31 00:00:00+00 BC", "0000-12-31T00:00:00.000000Z"),
            (0, b"10000-01-01 00:00:00+00", "+10000-01-01T00:00:00Z"),
            (6, b"294276-12-31 23:59:59.999999+00", "+294276-12-31T23:59:59.999999Z"),
            (6, b"infinity", "infinity"),
            (6, b"-infinity", "-infinity"),
        ],
    )
    def test_timestamptz(self, precision: int, wire: bytes, expected: str) -> None:
        text = timestamptz_converter(precision)(wire)
        assert text is not None
        assert json.loads(text) == expected

    @given(st.datetimes(timezones=st.just(timezone.utc)), st.integers(-14, 14))
    def test_timestamptz_of_any_zone(self, moment: datetime, hours: int) -> None:
        zone = timezone(timedelta(hours=hours))
        try:
            local = moment.astimezone(zone)
        except OverflowError:
            return
        wire = f"{local.replace(tzinfo=None).isoformat(' ')}{hours:+03}".encode()
        text = timestamptz_converter(6)(wire)
        assert text is not None
        assert json.loads(text) == moment.strftime("%Y").zfill(4) + moment.strftime(
            "-%m-%dT%H:%M:%S.%fZ"
        )


class TestInterval:
    @pytest.mark.parametrize(
        ("wire", "microseconds", "text"),
        [
            (b"1 year 2 mons 3 days 04:05:06.789", 37091106789000, "P1Y2M3DT4H5M6.789S"),
            (b"-10 mons -3 days +04:05:06.789", -26542493211000, "P0Y-10M-3DT4H5M6.789S"),
            (b"00:00:00", 0, "P0Y0M0DT0H0M0S"),
            (b"-1 days", -86400000000, "P0Y0M-1DT0H0M0S"),
            (b"00:00:00.000001", 1, "P0Y0M0DT0H0M0.000001S"),
            (b"-04:05:06.789", -14706789000, "P0Y0M0DT-4H-5M-6.789S"),
            (b"-00:00:00.5", -500000, "P0Y0M0DT0H0M-0.5S"),
            (b"100:00:00", 360000000000, "P0Y0M0DT100H0M0S"),
            (b"1 mon -1 days +00:00:01", 2543400000000 + 1000000, "P0Y1M-1DT0H0M1S"),
            (b"178000000 years", 9223372036854775807, "P178000000Y0M0DT0H0M0S"),
            (b"-178000000 years", -9223372036854775808, "P-178000000Y0M0DT0H0M0S"),
            (b"infinity", 0, "P0Y0M0DT0H0M0S"),
            (b"-infinity", 0, "P0Y0M0DT0H0M0S"),
        ],
    )
    def test_both_modes(self, wire: bytes, microseconds: int, text: str) -> None:
        assert interval_json(wire) == b"%d" % microseconds
        assert json.loads(interval_text_json(wire)) == text

    def test_refuses_other_styles(self) -> None:
        with pytest.raises(ValueError, match="ISO"):
            interval_json(b"P1Y2M")
