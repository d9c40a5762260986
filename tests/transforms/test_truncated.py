from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    CatalogType,
    Column,
)
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms import (
    TruncateColumns,
)
from tests.formatters.tables import column, relation
from tests.transforms.tables import (
    CHARACTERS,
    altered,
    applied,
    insert,
    name_of,
    value_of,
)


class TestTruncate:
    CUT = TruncateColumns(".*", chars=4)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ""),
            ("abcd", "abcd"),
            ("abcde", "abcd"),
            ("\u00e9\u00e9\u00e9\u00e9\u00e9", "\u00e9\u00e9\u00e9\u00e9"),
            # A character beyond U+FFFF counts as two, and is never cut in two.
            ("\U0001f600\U0001f600\U0001f600", "\U0001f600\U0001f600"),
            ("abc\U0001f600", "abc"),
            ("ab\U0001f600c", "ab\U0001f600"),
        ],
    )
    def test_text(self, text: str, expected: str) -> None:
        assert value_of(self.CUT, column("c"), text.encode()) == expected.encode()

    def test_bytes_that_are_no_utf8_are_kept(self) -> None:
        assert value_of(self.CUT, column("c"), b"a\xff\xfe\x80xy") == b"a\xff\xfe\x80"

    @pytest.mark.parametrize("made", CHARACTERS, ids=name_of)
    def test_characters(self, made: Column) -> None:
        assert value_of(self.CUT, made, b"happy") == b"happ"

    @pytest.mark.parametrize(
        "type_name",
        [
            *("json", "jsonb", "xml", "uuid", "inet", "cidr", "macaddr", "macaddr8", "tsvector"),
            *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
        ],
    )
    def test_types_that_are_written_as_their_text(self, type_name: str) -> None:
        assert value_of(self.CUT, column("c", type_name), b"123456") == b"1234"
        # In binary form that is not their text.
        binary = BinaryValue(b"123456")
        assert value_of(self.CUT, column("c", type_name), binary) is binary

    @pytest.mark.parametrize("type_name", ["citext", "ltree"])
    def test_types_of_extensions(self, type_name: str) -> None:
        own = CatalogType(16500, "public", type_name, "b")
        for table in (
            relation(column("c", type_name, oid=16500), types=[own]),
            relation(column("c", type_name, oid=16500), with_catalog=False),
        ):
            after = applied(self.CUT, insert(b"abcdef", table=table)).after
            assert after is not None
            assert after.raw == [b"abcd"]

    def test_binary_text(self) -> None:
        made = value_of(self.CUT, column("c"), BinaryValue(b"abcdef"))
        assert type(made) is BinaryValue
        assert made == b"abcd"

    def test_bytea(self) -> None:
        made = column("c", "bytea")
        assert value_of(self.CUT, made, b"\\x00112233445566") == b"\\x00112233"
        assert value_of(self.CUT, made, b"\\x0011") == b"\\x0011"
        binary = value_of(self.CUT, made, BinaryValue(b"\x00\x11\x22\x33\x44"))
        assert type(binary) is BinaryValue
        assert binary == b"\x00\x11\x22\x33"
        for value in (None, UNCHANGED, NOT_SENT):
            assert value_of(self.CUT, made, value) is value
        alteration = altered(self.CUT, made).alteration
        assert alteration is not None
        assert (alteration.parameters, alteration.alter) == ((("truncateLength", "4"),), None)

    @pytest.mark.parametrize(
        "made",
        [
            *(column("c", name) for name in ("int4", "float8", "date", "timestamptz", "_text")),
            column("c", "price", oid=16404),
            column("c", "_mood", oid=16401),
        ],
        ids=name_of,
    )
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert value_of(self.CUT, made, b"123456") == b"123456"
        alteration = altered(self.CUT, made).alteration
        assert alteration is not None
        assert alteration.alter is None

    def test_null_and_what_was_not_sent_stay(self) -> None:
        for value in (None, UNCHANGED, NOT_SENT):
            assert value_of(self.CUT, column("c"), value) is value

    def test_formats_are_told(self) -> None:
        alteration = altered(self.CUT, column("c")).alteration
        assert alteration is not None
        assert alteration.parameters == (("truncateLength", "4"),)
        assert alteration.instead is None
        assert alteration.alter is not None
        assert alteration.alter("abcdef") == "abcd"

    @pytest.mark.parametrize("chars", [0, -1])
    def test_no_length_is_refused(self, chars: int) -> None:
        with pytest.raises(ConfigurationError, match="chars must be 1 or more"):
            TruncateColumns(".*", chars=chars)

    @given(st.text(), st.integers(1, 10))
    def test_any_text(self, text: str, chars: int) -> None:
        value = text.encode("utf-8", "replace")
        made = value_of(TruncateColumns(".*", chars=chars), column("c"), value)
        assert isinstance(made, bytes)
        cut = made.decode()
        assert value.decode().startswith(cut)
        units = len(cut.encode("utf-16-le")) // 2
        assert units <= chars
        # No character more would fit.
        rest = value.decode()[len(cut) :]
        assert not rest or units + len(rest[0].encode("utf-16-le")) // 2 > chars
