from __future__ import annotations

from pglogical_cdc.formatters.wire.convert import (
    Convert,
    bool_json,
    plain_json,
    single_bit_json,
    withheld,
)


def test_bool() -> None:
    assert [bool_json(x) for x in (b"t", b"f", b"1", b"0")] == [b"true", b"false"] * 2
    assert [single_bit_json(x) for x in (b"1", b"0", b"")] == [b"true", b"false", None]


def test_plain() -> None:
    assert [plain_json(x) for x in (b"", b"10.0.0.0/8")] == [b'""', b'"10.0.0.0/8"']


def test_withheld() -> None:
    convert: Convert = withheld
    assert [convert(x) for x in (b"", b"x")] == [None, None]
