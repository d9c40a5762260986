from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.wire.binary import (
    BinaryMode,
    base64_json,
    bits_json,
    bytea_bytes,
    bytea_converter,
    bytes_json,
)


def test_base64() -> None:
    assert base64_json(b"") == b'""'
    assert base64_json(b"\x00\xff\x10") == b'"AP8Q"'


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"\\x", b""),
        (b"\\xdeadbeef", b"\xde\xad\xbe\xef"),
        (b"abc", b"abc"),
        (b"a\\000\\377\\\\b", b"a\x00\xff\\b"),
    ],
)
def test_reads_both_forms(wire: bytes, expected: bytes) -> None:
    assert bytea_bytes(wire) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("bytes", b'"+/8="'),
        ("base64", b'"+/8="'),
        ("base64-url-safe", b'"-_8="'),
        ("hex", b'"fbff"'),
    ],
)
def test_modes(mode: BinaryMode, expected: bytes) -> None:
    assert bytea_converter(mode)(b"\\xfbff") == expected
    assert bytes_json(b"\xfb\xff", mode) == expected


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"101", b'"BQ=="'),
        (b"10101010101010101011", b'"q6oK"'),
        (b"100000000", b'"AAE="'),
        (b"000", b'""'),
        (b"", b'""'),
    ],
)
def test_bits_from_the_last_on(wire: bytes, expected: bytes) -> None:
    assert bits_json(wire) == expected


def test_bits_of_any_length() -> None:
    assert len(json.loads(bits_json(b"1" * 100_000))) == 16_668
