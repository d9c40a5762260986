from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    Column,
)
from pglogical_cdc.protocol import BinaryValue
from pglogical_cdc.transforms import (
    HashColumns,
)
from tests.formatters.tables import column
from tests.transforms.tables import (
    CHARACTERS,
    OTHERS,
    altered,
    name_of,
    value_of,
)


def _hash(**options: Any) -> HashColumns:
    return HashColumns(".*", **{"algorithm": "SHA-256", "salt": "salty", **options})


class TestHash:
    # What Debezium 3.6.3 wrote.
    @pytest.mark.parametrize(
        ("options", "value", "expected"),
        [
            (
                *({"version": 1}, b"alpha beta"),
                "61f747aea46cba96f23b77e8dab8480811cc699acb0764c366986b8e660fe2b3",
            ),
            ({"version": 2}, b"bravo charlie", "0d88180f1f8ce7d1221a"),
            ({"algorithm": "MD5"}, b"a", "90fc3ee952"),
        ],
    )
    def test_known(self, options: dict[str, Any], value: bytes, expected: str) -> None:
        made = value_of(_hash(**options), column("c"), value)
        assert isinstance(made, bytes)
        assert made.decode().startswith(expected)

    def test_version_2_is_the_hash_of_salt_and_text(self) -> None:
        for value in (b"", b"a", "\u00e9\U0001f600\0".encode(), b"\xff"):
            expected = hashlib.sha256(b"salty" + value).hexdigest().encode()
            assert value_of(_hash(version=2), column("c"), value) == expected

    @pytest.mark.parametrize(
        ("text", "serialised"),
        [
            ("", b"t\0\0"),
            ("a", b"t\0\x01a"),
            ("\u00e9", b"t\0\x02\xc3\xa9"),
            # Each half of a character beyond U+FFFF by itself, and NUL as two bytes.
            ("\U0001f600", b"t\0\x06\xed\xa0\xbd\xed\xb8\x80"),
            ("x\0y", b"t\0\x04x\xc0\x80y"),
            ("a" * 65535, b"t\xff\xff" + b"a" * 65535),
            ("a" * 65536, b"|\0\0\0\0\0\x01\0\0" + b"a" * 65536),
        ],
    )
    def test_version_1_is_the_hash_of_salt_and_java_object(
        self, text: str, serialised: bytes
    ) -> None:
        expected = hashlib.sha256(b"salty\xac\xed\0\x05" + serialised).hexdigest().encode()
        assert value_of(_hash(), column("c"), text.encode()) == expected

    def test_null_and_what_was_not_sent_stay(self) -> None:
        for value in (None, UNCHANGED, NOT_SENT):
            assert value_of(_hash(), column("c"), value) is value

    def test_a_binary_value_stays_one(self) -> None:
        made = value_of(_hash(), column("c"), BinaryValue(b"a"))
        assert type(made) is BinaryValue
        assert made == value_of(_hash(), column("c"), b"a")

    @pytest.mark.parametrize("made", CHARACTERS, ids=name_of)
    def test_characters(self, made: Column) -> None:
        value = value_of(_hash(), made, b"happy")
        expected = value_of(_hash(), column("c"), b"happy")
        assert isinstance(value, bytes)
        assert isinstance(expected, bytes)
        assert value == (expected[:1] if made.type_name == "char" else expected)

    @pytest.mark.parametrize("made", OTHERS, ids=name_of)
    def test_other_types_are_left_alone(self, made: Column) -> None:
        assert value_of(_hash(), made, b"1") == b"1"
        alteration = altered(_hash(), made).alteration
        assert alteration is not None
        assert alteration.alter is None

    @pytest.mark.parametrize(
        ("made", "length"),
        [
            (column("c", "varchar", 14), 10),
            (column("c", "bpchar", 7), 3),
            (column("c", "char"), 1),
            (column("c", "varchar"), 64),
            (column("c", "varchar", 104), 64),
            (column("c", "email", oid=16403), 64),
        ],
    )
    def test_is_cut_to_what_the_column_allows(self, made: Column, length: int) -> None:
        whole = value_of(_hash(), column("c"), b"alpha beta")
        assert isinstance(whole, bytes)
        assert value_of(_hash(), made, b"alpha beta") == whole[:length]

    def test_formats_are_told(self) -> None:
        alteration = altered(_hash(), column("c", "varchar", 14)).alteration
        assert alteration is not None
        assert alteration.parameters == (("masked", "true"),)
        assert alteration.instead is None
        assert alteration.alter is not None
        assert alteration.alter("alpha beta") == "61f747aea4"

    @pytest.mark.parametrize(
        ("algorithm", "name"),
        [
            ("SHA-256", "sha256"),
            ("sha-512", "sha512"),
            ("SHA-1", "sha1"),
            ("SHA", "sha1"),
            ("MD5", "md5"),
            ("SHA3-256", "sha3_256"),
            ("SHA-512/256", "sha512_256"),
        ],
    )
    def test_algorithms_as_java_writes_them(self, algorithm: str, name: str) -> None:
        expected = hashlib.new(name, b"saltya").hexdigest().encode()
        made = _hash(algorithm=algorithm, salt="salt", version=2)
        assert value_of(made, column("c"), b"ya") == expected

    @pytest.mark.parametrize("algorithm", ["", "SHA-257", "none", "SHAKE_128"])
    def test_other_algorithms_are_refused(self, algorithm: str) -> None:
        with pytest.raises(ConfigurationError, match="hash"):
            _hash(algorithm=algorithm)

    @pytest.mark.parametrize("version", [0, 3, "1", None])
    def test_other_versions_are_refused(self, version: object) -> None:
        with pytest.raises(ConfigurationError, match="version must be 1 or 2"):
            _hash(version=version)

    @given(st.text(), st.text())
    def test_equal_texts_have_equal_hashes(self, one: str, other: str) -> None:
        first, second = (
            value_of(_hash(), column("c"), each.encode("utf-8", "replace")) for each in (one, other)
        )
        same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
        assert (first == second) is same
