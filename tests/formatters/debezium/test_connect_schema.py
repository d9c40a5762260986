from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.debezium.connect_schema import (
    BOOLEAN,
    BYTES,
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    STRING,
    ConnectSchema,
    array_of,
    semantic,
    struct,
)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (BOOLEAN, "boolean"),
        (BYTES, "bytes"),
        (DOUBLE, "double"),
        (FLOAT, "float"),
        (INT16, "int16"),
        (INT32, "int32"),
        (INT64, "int64"),
        (STRING, "string"),
    ],
)
def test_plain_types(schema: ConnectSchema, name: str) -> None:
    assert schema.json().decode() == f'{{"type":"{name}","optional":false}}'
    assert schema.as_optional().json().decode() == f'{{"type":"{name}","optional":true}}'


def test_all_members_in_their_order() -> None:
    schema = ConnectSchema(
        "int32",
        optional=True,
        name="n",
        version=3,
        doc="d",
        parameters=(("b", "1"), ("a", "2")),
        default=b"7",
    )
    assert schema.json("f").decode() == (
        '{"type":"int32","optional":true,"name":"n","version":3,"doc":"d",'
        '"parameters":{"b":"1","a":"2"},"default":7,"field":"f"}'
    )


def test_array() -> None:
    assert array_of(STRING.as_optional()).json("tags").decode() == (
        '{"type":"array","items":{"type":"string","optional":true},"optional":false,"field":"tags"}'
    )
    assert array_of(DOUBLE, "io.debezium.data.DoubleVector").json().decode() == (
        '{"type":"array","items":{"type":"double","optional":false},"optional":false,'
        '"name":"io.debezium.data.DoubleVector","version":1}'
    )


def test_array_of_arrays() -> None:
    nested = array_of(array_of(INT32.as_optional()).as_optional())
    assert nested.json().decode() == (
        '{"type":"array","items":{"type":"array","items":{"type":"int32","optional":true},'
        '"optional":true},"optional":false}'
    )


def test_map() -> None:
    schema = ConnectSchema("map", optional=True, keys=STRING, values=STRING.as_optional())
    assert schema.json("h").decode() == (
        '{"type":"map","keys":{"type":"string","optional":false},'
        '"values":{"type":"string","optional":true},"optional":true,"field":"h"}'
    )


def test_struct() -> None:
    schema = struct(("id", INT32), ("v", STRING.as_optional()), name="dbz.public.t.Value", doc="x")
    assert schema.json("before").decode() == (
        '{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},'
        '{"type":"string","optional":true,"field":"v"}],"optional":false,'
        '"name":"dbz.public.t.Value","version":1,"doc":"x","field":"before"}'
    )


def test_a_struct_without_fields_has_the_member() -> None:
    schema = struct(name="n", version=None, optional=True)
    assert schema.json() == b'{"type":"struct","fields":[],"optional":true,"name":"n"}'


def test_a_logical_type() -> None:
    schema = semantic("bytes", "org.apache.kafka.connect.data.Decimal", ("scale", "2"))
    assert schema.json().decode() == (
        '{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal",'
        '"version":1,"parameters":{"scale":"2"}}'
    )


def test_a_default_is_json_already() -> None:
    schema = ConnectSchema("string", default=b'"it\'s"')
    assert schema.json() == b'{"type":"string","optional":false,"default":"it\'s"}'
    # Null is a default as well, and not the same as none.
    assert ConnectSchema("string", default=b"null").json().endswith(b',"default":null}')


def test_all_texts_are_json() -> None:
    text = '"\\\U0001f600\x1f'
    schema = ConnectSchema("string", name=text, doc=text, parameters=((text, text),))
    content = json.loads(struct((text, schema), name=text).json(text))
    assert (content["name"], content["field"]) == (text, text)
    (field,) = content["fields"]
    assert (field["name"], field["doc"], field["field"]) == (text, text, text)
    assert field["parameters"] == {text: text}


def test_equal_schemas_are_one_key() -> None:
    made = {array_of(semantic("int32", "io.debezium.time.Date")): 1}
    assert made[array_of(semantic("int32", "io.debezium.time.Date"))] == 1
    assert array_of(INT32) not in made


def test_head() -> None:
    assert INT32.head() + b"7}" == b'{"schema":{"type":"int32","optional":false},"payload":7}'
