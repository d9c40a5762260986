from __future__ import annotations

import pytest

from pglogical_cdc.formatters.debezium.defaults import default_text


@pytest.mark.parametrize(
    ("expression", "type_name", "expected"),
    [
        ("5", "int4", b"5"),
        ("'-5'::integer", "int4", b"-5"),
        ("1.23", "numeric", b"1.23"),
        ("true", "bool", b"t"),
        ("false", "bool", b"f"),
        ("'x''y'::text", "text", b"x'y"),
        ("E'a\\\\b'::text", "text", b"a\\b"),
        ("'ok'::mood", "enum", b"ok"),
        ("'10101010'::\"bit\"", "bit", b"10101010"),
        ("'2020-01-02'::date", "date", b"2020-01-02"),
        ("nextval('t_id_seq'::regclass)", "int4", b"0"),
        ("now()", "timestamptz", b"1970-01-01 00:00:00+00"),
        ("(now() - '1 day'::interval)", "timestamptz", b"1970-01-01 00:00:00+00"),
        ("CURRENT_DATE", "date", b"1970-01-01"),
        ("CURRENT_TIMESTAMP(3)", "timestamp", b"1970-01-01 00:00:00"),
        ("LOCALTIME", "time", b"00:00:00"),
        ("gen_random_uuid()", "uuid", b"00000000-0000-0000-0000-000000000000"),
    ],
)
def test_keeps_constants_and_zeros(expression: str, type_name: str, expected: bytes) -> None:
    assert default_text(expression, type_name) == expected


@pytest.mark.parametrize(
    ("expression", "type_name"),
    [
        ("(1 + 2)", "int4"),
        ("'\\xdead'::bytea", "bytea"),
        ("'(1,2)'::point", "point"),
        ("('a'::text || 'b'::text)", "text"),
        ("NULL::integer", "int4"),
        ("md5('x'::text)", "text"),
        ("is_on()", "bool"),
    ],
)
def test_knows_no_other(expression: str, type_name: str) -> None:
    assert default_text(expression, type_name) is None
