from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.events import CatalogType
from pglogical_cdc.formatters.debezium.options import TypeOptions
from pglogical_cdc.formatters.debezium.type_rules import type_rule
from pglogical_cdc.formatters.wire.binary import BinaryMode
from pglogical_cdc.formatters.wire.wire_type import resolve_type
from pglogical_cdc.parsers.debezium.placeholder import Placeholder
from tests.formatters.tables import column, relation

CONTENTS = [b"__debezium_unavailable_value", b"\xde\xad\xbe\xef", b'"', b"\x00"]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("hstore", ["json", "map"])
@pytest.mark.parametrize("binary", ["bytes", "base64", "base64-url-safe", "hex"])
def test_every_form_that_a_formatter_writes(
    content: bytes, hstore: Any, binary: BinaryMode
) -> None:
    options = TypeOptions(placeholder=content, hstore=hstore, binary=binary)
    types = [CatalogType(16400, "public", "hstore", "b")]
    arrays = ("_text", "_bytea", "_int4", "_int8", "_date", "_uuid")
    columns = [column(name, name) for name in ("text", "bytea", "jsonb", *arrays)]
    table = relation(*columns, column("hstore", oid=16400), types=types)
    known = Placeholder(content)
    written = 0
    for each in table.columns:
        rule = type_rule(resolve_type(each, table.catalog), options, not_null=False)
        assert rule is not None
        if rule.unchanged is not None:
            written += 1
            assert known.stands_for(json.loads(rule.unchanged)), each.name
    assert written >= 7


@pytest.mark.parametrize("value", [None, 1, True, "", "other", [], ["other"], [1], {}, {"a": "b"}])
def test_what_else_there_is_stands_for_itself(value: Any) -> None:
    assert not Placeholder(b"gone").stands_for(value)
