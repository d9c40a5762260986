from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.formatters.wire.times import (
    ISO_TIMESTAMP,
    TimeUnit,
    civil_of_days,
    date_converter,
    days_of_civil,
    faithful_interval_json,
    faithful_interval_text_json,
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


class TestDaysOfCivil:
    @pytest.mark.parametrize(
        ("civil", "days"),
        [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((1, 1, 1), -719162),
            ((0, 12, 31), -719163),
            ((0, 2, 29), -719469),
            ((-43, 3, 15), -735160),
            ((-4712, 1, 1), -2440550),
            ((5874897, 12, 31), 2145042905),
        ],
    )
    def test_days(self, civil: tuple[int, int, int], days: int) -> None:
        assert days_of_civil(*civil) == days
        assert civil_of_days(days) == civil

    @given(st.integers(-(2**40), 2**40))
    def test_there_and_back(self, days: int) -> None:
        assert days_of_civil(*civil_of_days(days)) == days


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
        assert date_converter()(wire) == b"%d" % days

    def test_faithful_infinity_is_the_end_of_the_range(self) -> None:
        convert = date_converter(faithful=True)
        assert convert(b"infinity") == b"2147483647"
        assert convert(b"-infinity") == b"-2147483648"
        assert convert(b"0044-03-15 BC") == b"-735160"

    def test_days_overflow_like_an_int(self) -> None:
        # That is what becomes of infinity in an array.
        assert date_converter()(b"292278994-08-16") == b"-622191234"
        assert date_converter()(b"292269055-12-02") == b"-625821272"

    @pytest.mark.parametrize(
        ("wire", "text"),
        [
            (b"2024-02-29", "2024-02-29Z"),
            (b"0044-03-15 BC", "-0043-03-15Z"),
            (b"0001-12-31 BC", "0000-12-31Z"),
            (b"10000-01-01", "+10000-01-01Z"),
            (b"5874897-12-31", "+5874897-12-31Z"),
        ],
    )
    def test_iso_text(self, wire: bytes, text: str) -> None:
        for faithful in (False, True):
            made = date_converter(iso=True, faithful=faithful)(wire)
            assert made is not None
            assert json.loads(made) == text

    def test_infinity_as_iso_text(self) -> None:
        usual, faithful = date_converter(iso=True), date_converter(iso=True, faithful=True)
        assert usual(b"infinity") == b'"-5877611-06-21Z"'
        assert faithful(b"infinity") == b'"infinity"'
        assert faithful(b"-infinity") == b'"-infinity"'

    @given(st.dates())
    def test_any_date_of_python(self, day: date) -> None:
        assert date_converter()(day.isoformat().encode()) == b"%d" % (day - date(1970, 1, 1)).days

    def test_refuses_other_styles(self) -> None:
        with pytest.raises(ValueError, match="ISO"):
            date_converter()(b"29/02/2024 BC")


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

    @pytest.mark.parametrize(
        ("wire", "text"),
        [
            (b"13:14:15.123456", "13:14:15.123456Z"),
            (b"13:14:15.120", "13:14:15.12Z"),
            (b"13:14:15", "13:14:15Z"),
            (b"24:00:00", "00:00:00Z"),
        ],
    )
    def test_iso_text(self, wire: bytes, text: str) -> None:
        made = time_converter("iso")(wire)
        assert made is not None
        assert json.loads(made) == text

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

    @pytest.mark.parametrize(
        ("wire", "text"),
        [
            (b"2024-02-29 13:14:15.123456", "2024-02-29T13:14:15.123456Z"),
            (b"2024-02-29 13:14:15.120", "2024-02-29T13:14:15.12Z"),
            (b"2024-02-29 13:14:15", "2024-02-29T13:14:15Z"),
            (b"0044-03-15 01:02:03.5 BC", "-0043-03-15T01:02:03.5Z"),
            (b"294276-12-31 23:59:59.999999", "+294276-12-31T23:59:59.999999Z"),
            (b"infinity", "+294247-01-10T04:00:25.2Z"),
            (b"-infinity", "-290308-12-21T19:59:27.6Z"),
        ],
    )
    def test_iso_text(self, wire: bytes, text: str) -> None:
        made = timestamp_converter("iso")(wire)
        assert made is not None
        assert json.loads(made) == text

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_faithful_ends_of_the_range(self, unit: TimeUnit) -> None:
        convert = timestamp_converter(unit, faithful=True)
        assert convert(b"infinity") == b"9223372036854775807"
        assert convert(b"-infinity") == b"-9223372036854775808"

    def test_nanoseconds_begin_with_a_whole_day(self) -> None:
        first, before = b"1677-09-22 00:00:00", b"1677-09-21 00:12:43.145225"
        assert timestamp_converter("ns")(first) == b"-9223286400000000000"
        assert timestamp_converter("ns")(before) is None
        assert timestamp_converter("ns", faithful=True)(before) == b"-9223372036854775000"

    def test_faithful_does_not_overflow(self) -> None:
        last = b"294276-12-31 23:59:59.999999"
        assert timestamp_converter("us")(last) == b"-9223372036853775810"
        assert timestamp_converter("us", faithful=True)(last) is None
        assert timestamp_converter("ms", faithful=True)(last) == b"9224318015999999"
        nanoseconds = timestamp_converter("ns", faithful=True)
        assert nanoseconds(b"9999-12-31 00:00:00") is None
        assert nanoseconds(b"0001-01-01 00:00:00") is None
        # The very ends.
        microseconds = timestamp_converter("us", faithful=True)
        assert microseconds(b"294247-01-10 04:00:54.775807") == b"9223372036854775807"
        assert microseconds(b"294247-01-10 04:00:54.775808") is None
        assert nanoseconds(b"2024-02-29 13:14:15.123456") == b"1709212455123456000"

    def test_faithful_infinity_as_iso_text(self) -> None:
        convert = timestamp_converter("iso", faithful=True)
        assert convert(b"infinity") == b'"infinity"'
        assert convert(b"-infinity") == b'"-infinity"'
        assert convert(b"2024-02-29 13:14:15.5") == b'"2024-02-29T13:14:15.5Z"'

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

    @pytest.mark.parametrize(
        ("wire", "usual", "faithful"),
        [
            # Debezium calculates with floating point, and cuts.
            (b"00:00:05.94", "P0Y0M0DT0H0M5.939999999S", "P0Y0M0DT0H0M5.94S"),
            (b"-1 years -04:05:06.789", "P-1Y0M0DT-4H-5M-6.789S", "P-1Y0M0DT-4H-5M-6.789S"),
            (b"infinity", "P0Y0M0DT0H0M0S", "infinity"),
            (b"-infinity", "P0Y0M0DT0H0M0S", "-infinity"),
        ],
    )
    def test_faithful_text(self, wire: bytes, usual: str, faithful: str) -> None:
        # Numbers beyond 64 bits are no numbers.
        assert faithful_interval_json(b"178000000 years") is None
        assert json.loads(interval_text_json(wire)) == usual
        assert json.loads(faithful_interval_text_json(wire)) == faithful

    @given(
        *(st.integers(-(10**6), 10**6) for _ in range(3)),
        st.integers(-(10**15), 10**15),
    )
    def test_faithful_numbers_are_exact(
        self, years: int, months: int, days: int, microseconds: int
    ) -> None:
        sign, (seconds, fraction) = (
            "-" if microseconds < 0 else "+",
            divmod(abs(microseconds), 1_000_000),
        )
        clock = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        wire = f"{years} years {months} mons {days} days {clock}.{fraction:06}".encode()
        # A month has 30.4375 days.
        exact = (years * 12 + months) * 2_629_800_000_000 + days * 86_400_000_000 + microseconds
        number = b"%d" % exact if -(2**63) <= exact < 2**63 else None
        assert faithful_interval_json(wire) == number
        text = json.loads(faithful_interval_text_json(wire))
        part = -1 if microseconds < 0 else 1
        assert text.startswith(
            f"P{years}Y{months}M{days}DT{part * (seconds // 3600)}H{part * (seconds // 60 % 60)}M"
        )

    def test_refuses_other_styles(self) -> None:
        for convert in (
            interval_json,
            interval_text_json,
            faithful_interval_json,
            faithful_interval_text_json,
        ):
            with pytest.raises(ValueError, match="ISO"):
                convert(b"P1Y2M")
