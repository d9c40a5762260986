from __future__ import annotations

import pytest

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Column,
)
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms import (
    MaskColumns,
)
from tests.formatters.tables import column, relation
from tests.transforms.tables import (
    CHARACTERS,
    OTHERS,
    altered,
    applied,
    insert,
    name_of,
    value_of,
)


class TestMask:
    MASK = MaskColumns(".*", chars=3)

    @pytest.mark.parametrize("made", CHARACTERS, ids=name_of)
    def test_characters(self, made: Column) -> None:
        for value in (b"", b"x", b"hidden", "\u00e9\U0001f600".encode(), b"\xff"):
            assert value_of(self.MASK, made, value) == b"***"

    @pytest.mark.parametrize("made", OTHERS, ids=name_of)
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert value_of(self.MASK, made, b"1") == b"1"
        assert value_of(self.MASK, made, None) is None
        alteration = altered(self.MASK, made).alteration
        assert alteration is not None
        assert (alteration.parameters, alteration.alter, alteration.instead) == (
            (("masked", "true"),),
            None,
            None,
        )

    def test_null_is_masked_and_what_was_not_sent_is_not(self) -> None:
        assert value_of(self.MASK, column("c"), None) == b"***"
        assert value_of(self.MASK, column("c"), UNCHANGED) is UNCHANGED
        assert value_of(self.MASK, column("c"), NOT_SENT) is NOT_SENT

    def test_a_binary_value_stays_one(self) -> None:
        made = value_of(self.MASK, column("c"), BinaryValue(b"hidden"))
        assert type(made) is BinaryValue
        assert made == b"***"

    def test_formats_are_told(self) -> None:
        alteration = altered(self.MASK, column("c")).alteration
        assert alteration is not None
        assert alteration.parameters == (("masked", "true"),)
        assert alteration.instead == "***"
        assert alteration.alter is not None
        assert alteration.alter("x") == "***"

    def test_length(self) -> None:
        assert value_of(MaskColumns(".*", chars=0), column("c"), b"hidden") == b""
        assert value_of(MaskColumns(".*", chars=12), column("c", "varchar", 9), b"x") == b"*" * 12

    def test_a_negative_length_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="chars must be 0 or more, not -1"):
            MaskColumns(".*", chars=-1)

    def test_without_a_catalog_the_stream_names_the_type(self) -> None:
        # A type that nobody describes may be an enum.
        for type_name, expected in (("text", b"***"), ("mood", b"***"), ("int4", b"x")):
            made = column("c", type_name, oid=16400 if type_name == "mood" else None)
            bare = relation(made, with_catalog=False)
            after = applied(self.MASK, insert(b"x", table=bare)).after
            assert after is not None
            assert list(after.raw) == [expected]
