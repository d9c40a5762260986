from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import (
    Alteration,
    CatalogType,
    Column,
    Insert,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    Transaction,
    Update,
)
from pglogical_cdc.formatters import DebeziumFormatter
from pglogical_cdc.formatters.debezium.column_format import ColumnFormat, column_format
from pglogical_cdc.formatters.debezium.connect_schema import (
    BYTES,
    DOUBLE,
    INT32,
    STRING,
    ConnectSchema,
    array_of,
    semantic,
)
from pglogical_cdc.formatters.debezium.options import TableOptions, TypeOptions
from pglogical_cdc.lsn import LSN
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.protocol import BinaryValue
from tests.formatters.connect_json import faults_of_record
from tests.formatters.debezium.columns import tables
from tests.formatters.debezium.test_scalar_rules import N10_2, UNKNOWN
from tests.formatters.tables import column, relation

DEFAULT = TableOptions()
FAITHFUL = TableOptions(types=TypeOptions(faithful=True), replace_null_with_default=False)
MOOD = CatalogType(16400, "public", "mood", "e", array_oid=16401, labels=("a", "b"))
MOODS = CatalogType(16401, "public", "_mood", "b", element_oid=16400)
PRICE = CatalogType(16402, "public", "price", "d", base_oid=1700, base_modifier=N10_2)
LABEL = semantic("string", "io.debezium.data.Enum", ("allowed", "a,b"))


def _format(
    made: Column, options: TableOptions = DEFAULT, *, in_key: bool = False, **table: Any
) -> ColumnFormat:
    table = {"types": [MOOD, MOODS, PRICE], **table}
    found = column_format(relation(made, **table), 0, made.name, options, in_key=in_key)
    assert found is not None
    return found


def _stand_ins(found: ColumnFormat, value: bytes = b"NaN") -> tuple[bytes | None, ...]:
    """Return what stands for NULL, for what was not sent, for a value, and for an unchanged one."""
    failed = found.failed(value) if callable(found.failed) else found.failed
    return found.null, found.not_sent, failed, found.unchanged


class TestWhatStandsForAValue:
    @pytest.mark.parametrize(
        ("type_name", "modifier", "default", "not_null", "expected"),
        [
            # NULL, not sent, NaN where there is no JSON for it, unchanged.
            ("int4", -1, None, False, (b"null", b"null", b"null", b"null")),
            ("int4", -1, "5", False, (b"5", b"5", b"5", b"5")),
            ("int4", -1, None, True, (b"0", b"0", b"null", b"null")),
            ("int4", -1, "5", True, (b"5", b"5", b"null", b"null")),
            ("int4", -1, "(1 + 1)", False, (b"null", b"null", b"null", b"null")),
            ("text", -1, None, False, (b"null", b"null", b"null", b'"ph"')),
            ("text", -1, "'x'::text", True, (b'"x"', b'"x"', b"null", b'"ph"')),
            ("numeric", N10_2, "1", False, (b'"ZA=="', b'"ZA=="', b'"ZA=="', b'"ZA=="')),
            ("numeric", N10_2, None, True, (b'"AA=="', b'"AA=="', b'"NAN"', b"null")),
            ("numeric", -1, None, False, (b"null", b"null", b"null", b"null")),
            ("_int4", -1, "'{1}'::integer[]", True, (b"[]", b"[]", b"null", b"[112,104]")),
            ("_float8", -1, None, True, (b"[]", b"[]", b"null", b"null")),
        ],
    )
    def test_usual(
        self,
        type_name: str,
        modifier: int,
        default: str | None,
        not_null: bool,
        expected: tuple[bytes | None, ...],
    ) -> None:
        found = _format(
            column("c", type_name, modifier),
            TableOptions(types=TypeOptions(placeholder=b"ph")),
            defaults={} if default is None else {"c": default},
            not_null=["c"] if not_null else [],
        )
        assert _stand_ins(found) == expected

    def test_null_may_stay_null_beside_a_default(self) -> None:
        options = TableOptions(replace_null_with_default=False)
        found = _format(column("c", "int4"), options, defaults={"c": "5"})
        assert _stand_ins(found) == (b"null", b"null", b"null", b"null")
        assert found.schema == attrs.evolve(INT32, optional=True, default=b"5")
        # The zero of a key image is the default all the same.
        required = _format(column("c", "int4"), options, defaults={"c": "5"}, not_null=["c"])
        assert required.null == b"5"

    def test_faithful_leaves_out_what_was_not_sent(self) -> None:
        for not_null in ([], ["c"]):
            found = _format(column("c", "int4"), FAITHFUL, defaults={"c": "5"}, not_null=not_null)
            assert _stand_ins(found) == (b"null", None, b"null", None)
            assert found.schema == attrs.evolve(INT32, optional=True, default=b"5")
        text = _format(column("c"), FAITHFUL, not_null=["c"])
        assert _stand_ins(text) == (b"null", None, b"null", b'"__debezium_unavailable_value"')

    @pytest.mark.parametrize(
        ("type_name", "modifier", "options", "value", "required", "faithful"),
        [
            ("numeric", N10_2, {}, b"-Infinity", b'"NEGATIVE_INFINITY"', b'"-Infinity"'),
            ("numeric", -1, {}, b"NaN", b'"NAN"', b'"NaN"'),
            (
                *("timestamp", -1, {"time": "nanoseconds"}, b"9999-12-31 00:00:00"),
                *(b'"9999-12-31T00:00:00Z"', b'"9999-12-31T00:00:00Z"'),
            ),
            (
                *("timestamp", -1, {}, b"294276-12-31 23:59:59.5"),
                *(None, b'"+294276-12-31T23:59:59.5Z"'),
            ),
            ("interval", -1, {}, b"178000000 years", None, b'"P178000000Y0M0DT0H0M0S"'),
        ],
    )
    def test_what_the_type_cannot_hold_is_a_string(
        self,
        type_name: str,
        modifier: int,
        options: dict[str, Any],
        value: bytes,
        required: bytes | None,
        faithful: bytes,
    ) -> None:
        made, types = column("c", type_name, modifier), TypeOptions(**options)
        if required is not None:
            found = _format(made, TableOptions(types=types), not_null=["c"])
            assert found.convert is not None
            assert found.convert(value) is None
            assert _stand_ins(found, value)[2] == required
        found = _format(made, TableOptions(types=attrs.evolve(types, faithful=True)))
        assert found.convert is not None
        assert found.convert(value) is None
        assert _stand_ins(found, value)[2] == faithful

    def test_a_generated_columns_expression_counts_as_a_default(self) -> None:
        found = _format(column("c", "int4"), defaults={"c": "5"}, generated=["c"])
        assert (found.null, found.schema.default) == (b"5", b"5")
        faithful = _format(column("c", "int4"), FAITHFUL, defaults={"c": "5"}, generated=["c"])
        assert (faithful.null, faithful.schema.default) == (b"null", None)

    def test_a_domain_has_no_default(self) -> None:
        made = column("c", "numeric", oid=16402)
        found = _format(made, defaults={"c": "'1.50'::numeric"})
        assert (found.null, found.schema.default) == (b"null", None)
        assert found.schema.name == "org.apache.kafka.connect.data.Decimal"

    def test_without_a_catalog_every_column_may_be_null(self) -> None:
        found = _format(column("c", "int4"), with_catalog=False, not_null=["c"])
        assert found.schema == INT32.as_optional()
        assert found.null == b"null"

    def test_what_the_catalog_says_may_not_count(self) -> None:
        made = relation(column("c", "int4"), not_null=["c"], defaults={"c": "5"})
        found = column_format(made, 0, "c", DEFAULT, in_key=True, described=False)
        assert found is not None
        assert (found.null, found.schema) == (b"null", INT32.as_optional())


class TestWhatAColumnIs:
    def test_types_that_debezium_does_not_know_are_left_out(self) -> None:
        made = relation(column("c", "box"))
        assert column_format(made, 0, "c", DEFAULT) is None
        found = column_format(made, 0, "c", TableOptions(types=UNKNOWN))
        assert found is not None
        assert found.schema == BYTES.as_optional()

    def test_names(self) -> None:
        made = relation(column("a"), column('c"', "int4"))
        found = column_format(made, 1, 'f"\U0001f600', DEFAULT)
        assert found is not None
        assert found.position == 1
        assert (found.field, found.name) == ('f"\U0001f600', b'"f\\"\\uD83D\\uDE00"')

    def test_a_key_says_what_is_required(self) -> None:
        made = column("c", "int4")
        for options in (DEFAULT, FAITHFUL):
            assert _format(made, options, in_key=True, not_null=["c"]).schema == INT32
            assert _format(made, options, in_key=True).schema == INT32.as_optional()

    @pytest.mark.parametrize(
        ("options", "propagated"),
        [
            ({"propagate_columns": "public.t.c"}, True),
            ({"propagate_columns": "PUBLIC.T.C"}, True),
            ({"propagate_columns": "t.c"}, False),
            ({"propagate_types": r".*\.varchar"}, True),
            ({"propagate_types": r"public\.t\.VARCHAR"}, True),
            ({"propagate_types": "varchar"}, False),
            ({}, False),
        ],
    )
    def test_source_types(self, options: dict[str, str], propagated: bool) -> None:
        options_of_table = TableOptions(
            propagate_columns=NamePatterns.read("x", options.get("propagate_columns", "")),
            propagate_types=NamePatterns.read("x", options.get("propagate_types", "")),
        )
        found = _format(column("c", "varchar", 14), options_of_table)
        parameters = (
            ("__debezium.source.column.type", "VARCHAR"),
            ("__debezium.source.column.length", "10"),
            ("__debezium.source.column.scale", "0"),
            ("__debezium.source.column.name", "c"),
        )
        assert found.schema.parameters == (parameters if propagated else ())

    def test_source_types_come_after_the_parameters_of_the_type(self) -> None:
        options = TableOptions(propagate_columns=NamePatterns.read("x", ".*"))
        found = _format(column("c", "numeric", N10_2), options)
        assert [name for name, _ in found.schema.parameters] == [
            "scale",
            "connect.decimal.precision",
            *(f"__debezium.source.column.{each}" for each in ("type", "length", "scale", "name")),
        ]
        # Not in a key.
        key = _format(column("c", "numeric", N10_2), options, in_key=True)
        assert [name for name, _ in key.schema.parameters] == ["scale", "connect.decimal.precision"]


MASK = Alteration((("masked", "true"),), lambda text: "***", "***")
UPPER = Alteration((("masked", "true"),), str.upper)
LEFT_ALONE = Alteration((("masked", "true"),), None)
CUT = Alteration((("truncateLength", "4"),), lambda text: text[:4])


def _altered(alteration: Alteration, type_name: str = "text", modifier: int = -1) -> Column:
    return attrs.evolve(column("c", type_name, modifier), alteration=alteration)


class TestAlterations:
    def test_a_mask_stands_for_everything(self) -> None:
        for not_null in ([], ["c"]):
            found = _format(_altered(MASK), not_null=not_null, defaults={"c": "'x'::text"})
            assert _stand_ins(found) == (b'"***"', b'"***"', b'"***"', b'"***"')
            assert found.schema.parameters == (("masked", "true"),)
            assert found.schema.default == b'"x"'

    def test_the_source_type_of_an_altered_column_is_not_noted(self) -> None:
        options = TableOptions(propagate_columns=NamePatterns.read("x", ".*"))
        for alteration in (MASK, UPPER, LEFT_ALONE):
            found = _format(_altered(alteration), options)
            assert found.schema.parameters == (("masked", "true"),)

    def test_strings_and_bytes_that_the_format_makes_are_cut(self) -> None:
        cut = Alteration((), None, max_length=4)
        made = _altered(cut, "timestamptz")
        value = b"2020-01-02 03:04:05.5+00"
        found = _format(made, not_null=["c"])
        assert found.convert is not None
        assert found.convert(value) == b'"2020"'
        assert found.null == b'"1970"'
        faithful = _format(made, FAITHFUL)
        assert faithful.convert is not None
        assert faithful.convert(value) == b'"2020-01-02T03:04:05.500000Z"'
        unknown = _format(_altered(cut, "box"), TableOptions(types=UNKNOWN))
        assert unknown.convert is not None
        assert unknown.convert(b"(1,1),(0,0)") == b'"KDEuMA=="'
        assert _format(_altered(cut, "int4")).convert is None

    def test_what_stands_for_a_value_is_altered_like_one(self) -> None:
        found = _format(_altered(UPPER), not_null=["c"], defaults={"c": "'x'::text"})
        assert _stand_ins(found) == (b'"X"', b'"X"', b"null", b'"__DEBEZIUM_UNAVAILABLE_VALUE"')
        nullable = _format(_altered(UPPER), defaults={"c": "'x'::text"})
        assert nullable.null == nullable.not_sent == b'"x"'

    def test_types_that_are_left_alone_are_noted(self) -> None:
        found = _format(_altered(LEFT_ALONE, "int4"), not_null=["c"])
        assert _stand_ins(found) == (b"0", b"0", b"null", b"null")
        assert found.schema.parameters == (("masked", "true"),)

    def test_placeholders_of_types_that_are_left_alone_are_left_alone_too(self) -> None:
        found = _format(_altered(LEFT_ALONE, "bytea"), not_null=["c"])
        placeholder = b'"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="'
        assert _stand_ins(found) == (b'""', b'""', b"null", placeholder)

    def test_faithful_leaves_out_what_was_not_sent(self) -> None:
        found = _format(_altered(MASK), FAITHFUL)
        assert _stand_ins(found) == (b"null", None, b"null", b'"__debezium_unavailable_value"')

    @pytest.mark.parametrize(
        ("type_name", "modifier", "noted"),
        [("varchar", 8, False), ("varchar", 9, True), ("text", -1, True), ("char", -1, False)],
    )
    def test_a_length_that_cannot_be_reached_is_not_noted(
        self, type_name: str, modifier: int, noted: bool
    ) -> None:
        found = _format(_altered(CUT, type_name, modifier))
        assert found.schema.parameters == ((("truncateLength", "4"),) if noted else ())

    def test_keys_are_not_altered(self) -> None:
        found = _format(_altered(MASK), in_key=True, not_null=["c"])
        assert found.schema == STRING
        assert found.null == b'""'


def _deviation(
    made: Column, value: RawValue, *, in_key: bool = False, faithful: bool = False, **table: Any
) -> ConnectSchema | None:
    options = TableOptions(schemas=True, types=TypeOptions(faithful=faithful, include_unknown=True))
    deviation = _format(made, options, in_key=in_key, **table).deviation
    return None if deviation is None else deviation(value)


MOOD_COLUMN = column("c", "_mood", oid=16401)


class TestDeviations:
    """Values that Debezium stops at, and the schema that they need."""

    def test_none_without_schemas(self) -> None:
        assert _format(column("c", "numeric", N10_2), not_null=["c"]).deviation is None

    @pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
    def test_no_number(self, value: RawValue) -> None:
        for made in (column("c", "numeric", N10_2), column("c", "numeric")):
            assert _deviation(made, value, not_null=["c"]) == STRING
            # Where it may be NULL it is, unless the true value is asked for.
            assert _deviation(made, value) is None
            assert _deviation(made, value, faithful=True) == STRING.as_optional()
            assert _deviation(made, value, in_key=True, not_null=["c"]) == STRING
            for usual in (b"1.50", b"no number", NOT_SENT, None):
                assert _deviation(made, usual, not_null=["c"]) is None
                assert _deviation(made, usual, faithful=True) is None

    def test_an_unchanged_number(self) -> None:
        made = column("c", "numeric", N10_2)
        usual = _format(made, TableOptions(schemas=True), not_null=["c"]).schema
        assert not usual.optional
        assert _deviation(made, UNCHANGED, not_null=["c"]) == usual.as_optional()
        assert _deviation(made, UNCHANGED) is None

    def test_a_timestamp_beyond_the_range_of_nanoseconds(self) -> None:
        options = TableOptions(schemas=True, types=TypeOptions(time="nanoseconds"))
        found = _format(column("c", "timestamp"), options, not_null=["c"])
        assert found.deviation is not None
        iso = semantic("string", "io.debezium.time.IsoTimestamp")
        assert found.deviation(b"9999-12-31 00:00:00") == iso
        assert found.deviation(b"2024-02-29 00:00:00") is None
        assert found.deviation(b"29/02/2024") is None

    def test_what_64_bits_cannot_count(self) -> None:
        for type_name, value, name in (
            ("timestamp", b"294276-12-31 23:59:59", "IsoTimestamp"),
            ("interval", b"178000000 years", "Interval"),
        ):
            made = column("c", type_name)
            expected = semantic("string", f"io.debezium.time.{name}").as_optional()
            assert _deviation(made, value, faithful=True) == expected
            assert _deviation(made, value, faithful=True, not_null=["c"]) == expected
            assert _deviation(made, value) is None
            assert _deviation(made, value, not_null=["c"]) is None

    def test_an_unchanged_value_without_a_placeholder(self) -> None:
        made = column("c", "_float8")
        assert _deviation(made, UNCHANGED, not_null=["c"]) == (
            array_of(DOUBLE.as_optional()).as_optional()
        )
        assert _deviation(made, b"{1,NULL}", not_null=["c"]) is None
        assert _deviation(made, UNCHANGED) is None
        # Text has a placeholder.
        assert _deviation(column("c"), UNCHANGED, not_null=["c"]) is None
        assert _deviation(column("c", "_text"), UNCHANGED, not_null=["c"]) is None

    def test_arrays_whose_schema_is_none_and_others_whose_schema_is_one(self) -> None:
        bits = column("c", "_bit", 3)
        assert _deviation(bits, UNCHANGED) is None
        assert _deviation(bits, b"{{101}}") is None
        vector = CatalogType(16403, "public", "vector", "b")
        made = column("c", "vector", oid=16403)
        usual = _format(made, TableOptions(schemas=True), types=[vector], not_null=["c"]).schema
        assert usual.type == "array"
        for faithful in (False, True):
            assert _deviation(made, b"[1,2]", faithful=faithful, types=[vector]) is None
        assert _deviation(made, UNCHANGED, types=[vector], not_null=["c"]) == usual.as_optional()

    def test_a_null_among_the_elements(self) -> None:
        assert _deviation(MOOD_COLUMN, b"{a,NULL}", not_null=["c"]) == (
            array_of(LABEL.as_optional())
        )
        for value in (b"{a,b}", b"{}", b'{"NULL"}', b"{{a,b},{b,a}}"):
            assert _deviation(MOOD_COLUMN, value, not_null=["c"]) is None
        # Where it may be NULL, the whole is.
        assert _deviation(MOOD_COLUMN, b"{a,NULL}") is None

    def test_a_null_among_the_elements_of_a_type_that_debezium_does_not_know(self) -> None:
        expected = array_of(BYTES.as_optional())
        for made, value in (
            (column("c", "_pg_lsn"), b"{0/1,NULL}"),
            (column("c", "_pg_lsn"), b"{{0/1},{0/2}}"),
            (column("c", "_box"), b"{(1,1),(0,0);NULL}"),
        ):
            assert _deviation(made, value, not_null=["c"]) == expected
        assert _deviation(column("c", "_box"), b"{(1,1),(0,0)}", not_null=["c"]) is None

    def test_faithful_arrays_of_arrays(self) -> None:
        made, items = column("c", "_int4"), INT32.as_optional()
        flat = array_of(items).as_optional()
        assert _deviation(made, b"{{1,2},{3,4}}", faithful=True) == array_of(flat).as_optional()
        assert _deviation(made, b"[1:1][1:1][1:1]={{{1}}}", faithful=True) == (
            array_of(array_of(flat).as_optional()).as_optional()
        )
        assert _deviation(made, b"{1,2}", faithful=True) is None
        assert _deviation(made, b"{}", faithful=True) is None
        assert _deviation(made, b"{{1,2},{3,4}}") is None

    def test_faithful_keys_of_which_a_part_was_not_sent(self) -> None:
        for made in (column("c", "int4"), column("c", "_int4"), MOOD_COLUMN):
            options = TableOptions(schemas=True, types=TypeOptions(faithful=True))
            usual = _format(made, options, in_key=True, not_null=["c"]).schema
            assert _deviation(made, NOT_SENT, in_key=True, faithful=True, not_null=["c"]) == (
                usual.as_optional()
            )
            assert _deviation(made, NOT_SENT, faithful=True, not_null=["c"]) is None

    @pytest.mark.parametrize(
        "value", [b"", b"{", b"}{", b"{a", b"{NULL", b"{{NULL", b"x", BinaryValue(b"{{"), None]
    )
    def test_other_values_have_none(self, value: RawValue) -> None:
        for made in (MOOD_COLUMN, column("c", "_int4"), column("c", "timestamp")):
            assert _deviation(made, value, not_null=["c"]) is None


TRANSACTION = Transaction(xid=7, commit_lsn=LSN(1000), commit_timestamp=0)


def _record(formatter: DebeziumFormatter, made: Relation, before: RawValue, after: RawValue) -> Any:
    """Return schema and payload of an update of one column."""
    change = Update(900, TRANSACTION, 1, made, Row(made, [b"1", before]), Row(made, [b"1", after]))
    (record,) = formatter.format(change)
    assert record.value is not None
    assert faults_of_record(record.value) == []
    return json.loads(record.value)


class TestRecords:
    """The same in whole records, whose schema every value fits."""

    @pytest.mark.parametrize(
        ("made", "options", "value", "payload", "schema"),
        [
            (column("c", "numeric", N10_2), {}, b"NaN", "NAN", STRING),
            (column("c", "numeric"), {}, b"Infinity", "POSITIVE_INFINITY", STRING),
            (
                *(column("c", "numeric"), {"faithful": True}, b"NaN", "NaN"),
                STRING.as_optional(),
            ),
            (
                *(column("c", "interval"), {"faithful": True}, b"178000000 years"),
                "P178000000Y0M0DT0H0M0S",
                semantic("string", "io.debezium.time.Interval").as_optional(),
            ),
            (
                *(column("c", "_float8"), {}, UNCHANGED, None),
                array_of(DOUBLE.as_optional()).as_optional(),
            ),
            (MOOD_COLUMN, {}, b"{a,NULL}", ["a", None], array_of(LABEL.as_optional())),
            (
                *(column("c", "_int4"), {"faithful": True}, b"{{1,2},{3,4}}", [[1, 2], [3, 4]]),
                array_of(array_of(INT32.as_optional()).as_optional()).as_optional(),
            ),
        ],
    )
    def test_the_records_own_schema_says_so(
        self,
        made: Column,
        options: dict[str, Any],
        value: RawValue,
        payload: object,
        schema: ConnectSchema,
    ) -> None:
        table = relation(
            column("id", "int4"),
            made,
            not_null=["id", "c"],
            types=[MOOD, MOODS],
            identity=ReplicaIdentity.FULL,
        )
        usual_value = b"{}" if str(made.type_name)[0] == "_" else b"1.50"
        if made.type_name == "interval":
            usual_value = b"1 day"
        formatter = DebeziumFormatter(topic_prefix="dbz", schemas_enable=True, **options)
        usual = _record(formatter, table, usual_value, usual_value)["schema"]
        odd = _record(formatter, table, usual_value, value)
        assert odd["payload"]["after"]["c"] == payload

        before, after = (each["fields"][1] for each in odd["schema"]["fields"][:2])
        assert before == usual["fields"][1]["fields"][1] != after
        assert after == json.loads(schema.json("c"))
        # And not longer than for that record.
        assert _record(formatter, table, usual_value, usual_value)["schema"] == usual

    def test_rows_before_and_after_have_their_own(self) -> None:
        table = relation(column("id", "int4"), column("c", "_int4"), identity=ReplicaIdentity.FULL)
        formatter = DebeziumFormatter(topic_prefix="dbz", schemas_enable=True, faithful=True)
        for before, after in ((b"{1}", b"{{1}}"), (b"{{1}}", b"{1}"), (b"{{1}}", b"{{{1}}}")):
            content = _record(formatter, table, before, after)
            assert content["payload"]["before"]["c"] == json.loads(
                before.translate(bytes.maketrans(b"{}", b"[]"))
            )

    def test_a_row_that_is_not_there_has_the_schema_of_the_other(self) -> None:
        table = relation(column("c", "numeric"), not_null=["c"])
        formatter = DebeziumFormatter(topic_prefix="dbz", schemas_enable=True)
        insert = Insert(900, TRANSACTION, 1, table, Row(table, [b"NaN"]))
        (record,) = formatter.format(insert)
        before, after = json.loads(record.value or b"")["schema"]["fields"][:2]
        assert before == {**after, "field": "before"}
        assert after["fields"][0] == {"type": "string", "optional": False, "field": "c"}

    @settings(max_examples=150)
    @given(st.data(), st.booleans(), st.booleans())
    def test_every_value_fits_the_schema_beside_it(
        self, data: st.DataObject, faithful: bool, unknown: bool
    ) -> None:
        table = data.draw(tables())
        made = table.relation
        formatter = DebeziumFormatter(
            topic_prefix="dbz",
            schemas_enable=True,
            faithful=faithful,
            include_unknown_datatypes=unknown,
            decimal_handling_mode=data.draw(st.sampled_from(["precise", "double", "string"])),
            time_precision_mode=data.draw(
                st.sampled_from(["adaptive", "nanoseconds", "isostring"])
            ),
            hstore_handling_mode=data.draw(st.sampled_from(["json", "map"])),
        )
        old, new = Row(made, data.draw(table.rows)), Row(made, data.draw(table.rows))
        for record in formatter.format(Update(900, TRANSACTION, 1, made, old, new)):
            assert record.value is not None
            assert faults_of_record(record.value) == []
