"""Tests of `pglogical_cdc.postgres.conversation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.postgres.conversation import Conversation, converse

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = pytest.mark.pg


def test_rows_are_sent_back_and_the_result_returned(database: Database) -> None:
    def conversation() -> Conversation[int]:
        rows = yield sql.SQL("SELECT 1, 'a' UNION ALL SELECT 2, 'b' ORDER BY 1")
        assert rows == [(1, "a"), (2, "b")]
        assert (yield sql.SQL("CREATE TABLE t (id int)")) == []
        return 7

    assert converse(database.connect(), conversation()) == 7


def test_error_comes_at_its_statement(database: Database) -> None:
    def conversation() -> Conversation[str]:
        try:
            yield sql.SQL("SELECT 1 FROM nowhere")
        except psycopg.errors.UndefinedTable:
            ((text,),) = yield sql.SQL("SELECT 'went on'")
            return str(text)
        return "no error"

    assert converse(database.connect(), conversation()) == "went on"


def test_error_that_nobody_expected_comes_out(database: Database) -> None:
    def conversation() -> Conversation[None]:
        yield sql.SQL("SELECT 1 FROM nowhere")

    with pytest.raises(psycopg.errors.UndefinedTable):
        converse(database.connect(), conversation())
