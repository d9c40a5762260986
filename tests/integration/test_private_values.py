"""No value of a row gets into an error, whatever the server says about it."""

from __future__ import annotations

import traceback

import pytest

from pglogical_cdc.errors import DecodingFailedError
from pglogical_cdc.replication import ReplicationReader
from tests.servers import Database

__all__ = ()


@pytest.mark.pg(15)  # row filters
def test_row_filter_that_fails_on_a_value(database: Database, slot_name: str) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, y int, m int, d int)")
    database.execute(
        "CREATE PUBLICATION p FOR TABLE t WHERE (make_date(y, m, d) > '2000-01-01')"
        " WITH (publish = 'insert')"
    )
    with ReplicationReader(
        database.dsn, slot=slot_name, publications="p", create=True, until="now"
    ) as reader:
        database.execute("INSERT INTO t VALUES (1, 2021, 4242, 7)")
        with pytest.raises(DecodingFailedError) as caught:
            list(reader)
    text = "".join(traceback.format_exception(caught.value))
    assert "22008" in text
    assert "4242" not in text
