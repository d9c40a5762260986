from __future__ import annotations

import pytest

from pglogical_cdc.parsers.debezium.unwrapped import as_envelope, is_added


def test_fields_go_back_to_where_they_came_from() -> None:
    row = {
        "id": 1,
        "__op": "u",
        "__table": "t",
        "__source_schema": "public",
        "__lsn": 5,
        "__ts_ms": 7,
        "__source_ts_ms": 8,
        "__transaction_total_order": 2,
    }

    assert as_envelope(row, None, []) == {
        "op": "u",
        "ts_ms": 7,
        "before": None,
        "after": {"id": 1},
        "source": {"schema": "public", "lsn": 5, "table": "t", "ts_ms": 8},
        "transaction": {"total_order": 2},
    }


def test_a_deleted_row_is_the_one_before() -> None:
    envelope = as_envelope({"id": 1, "__deleted": "true", "__table": "t"}, None, [])

    assert envelope is not None
    assert (envelope["op"], envelope["before"], envelope["after"]) == ("d", {"id": 1}, None)


def test_headers_count_where_the_row_says_nothing() -> None:
    headers = [("__op", "c"), ("__table", "other"), ("x", "y"), ("__lsn", None)]

    envelope = as_envelope({"id": 1, "__table": "t"}, None, headers)

    assert envelope is not None
    assert (envelope["op"], envelope["source"]["table"]) == ("c", "t")
    assert envelope["source"]["lsn"] == 0


def test_the_name_of_the_schema_tells_the_table() -> None:
    envelope = as_envelope({"id": 1, "__op": "c"}, "shop.public.t.Value", [])

    assert envelope is not None
    assert envelope["source"] == {"schema": "public", "table": "t", "lsn": 0}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"id": 1}, "shop.public.t.Value"),
        ({"id": 1, "__op": "c"}, None),
        ({"id": 1, "__op": "c"}, "t.Value"),
        ({"id": 1, "__op": "c"}, "shop.public.my.t.Value"),
        ({"id": 1, "__op": "c"}, "shop.public.t.Key"),
        ({"id": 1, "__deleted": "false", "__table": "t"}, None),
    ],
)
def test_a_row_that_tells_too_little(row: dict[str, object], name: str | None) -> None:
    assert as_envelope(row, name, []) is None


@pytest.mark.parametrize(
    ("name", "added"),
    [("__op", True), ("__deleted", True), ("__source_lsn", True), ("op", False), ("__x", False)],
)
def test_only_fields_of_the_envelope_are_added(name: str, *, added: bool) -> None:
    assert is_added(name) is added
