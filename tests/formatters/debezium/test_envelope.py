from __future__ import annotations

import json
from typing import Any

import pytest

from pglogical_cdc.formatters.debezium.connect_schema import INT32, ConnectSchema, struct
from pglogical_cdc.formatters.debezium.envelope import (
    HEARTBEAT_KEY_SCHEMA,
    HEARTBEAT_SCHEMA,
    MESSAGE_KEY_SCHEMA,
    SOURCE_SCHEMA,
    TRANSACTION_BLOCK_SCHEMA,
    TRANSACTION_KEY_SCHEMA,
    TRANSACTION_SCHEMA,
    envelope_schema,
    message_schema,
)
from pglogical_cdc.formatters.debezium.source import SOURCE_FIELDS
from pglogical_cdc.formatters.wire.binary import BinaryMode
from tests.golden import debezium_records


def _recorded(topic: str, part: str, configuration: str = "txmeta_schemas") -> Any:
    """Return a schema that the real connector wrote to a topic."""
    for record in debezium_records(configuration):
        if record["topic"] == topic and record[part] is not None:
            return json.loads(record[part])["schema"]
    raise AssertionError(f"nothing was recorded for {topic}")


def _text(schema: object) -> bytes:
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()


_TABLE = "dbz.public.sync_marker"


def test_source_and_transaction_are_as_recorded() -> None:
    fields = {each["field"]: each for each in _recorded(_TABLE, "value")["fields"]}
    assert SOURCE_SCHEMA.json("source") == _text(fields["source"])
    assert TRANSACTION_BLOCK_SCHEMA.json("transaction") == _text(fields["transaction"])


def test_the_sources_fields_are_those_of_the_block() -> None:
    assert tuple(name for name, _schema in SOURCE_SCHEMA.fields) == SOURCE_FIELDS


def test_envelope_is_as_recorded() -> None:
    recorded = _recorded(_TABLE, "value")
    before, after = (each for each in recorded["fields"] if each["field"] in ("before", "after"))
    assert {**before, "field": "after"} == after
    row = ConnectSchema("struct", optional=True, name=before["name"])
    made = json.loads(envelope_schema(recorded["name"], row, row).json())
    made["fields"][0]["fields"] = made["fields"][1]["fields"] = before["fields"]
    assert _text(made) == _text(recorded)


def test_an_envelope_may_have_two_kinds_of_rows() -> None:
    before, after = (struct(("a", INT32), name=name) for name in ("old", "new"))
    fields = json.loads(envelope_schema("e", before, after).json())["fields"]
    assert [(each["field"], each["name"]) for each in fields[:2]] == [
        ("before", "old"),
        ("after", "new"),
    ]


def test_transaction_metadata_is_as_recorded() -> None:
    topic = "dbz.transaction"
    assert TRANSACTION_KEY_SCHEMA.json() == _text(_recorded(topic, "key"))
    assert TRANSACTION_SCHEMA.json() == _text(_recorded(topic, "value"))


def test_messages_are_as_recorded() -> None:
    topic = "dbz.message"
    assert MESSAGE_KEY_SCHEMA.json() == _text(_recorded(topic, "key"))
    assert message_schema("bytes").json() == _text(_recorded(topic, "value"))


@pytest.mark.parametrize("mode", ["hex", "base64", "base64-url-safe"])
def test_the_content_of_a_message_follows_the_binary_mode(mode: BinaryMode) -> None:
    fields = json.loads(message_schema(mode).json())["fields"]
    assert fields[-1]["fields"][-1] == {"type": "string", "optional": True, "field": "content"}


def test_heartbeats() -> None:
    assert HEARTBEAT_KEY_SCHEMA.json().decode() == (
        '{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],'
        '"optional":false,"name":"io.debezium.connector.common.ServerNameKey","version":1}'
    )
    assert HEARTBEAT_SCHEMA.json().decode() == (
        '{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],'
        '"optional":false,"name":"io.debezium.connector.common.Heartbeat","version":1}'
    )
