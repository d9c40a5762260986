"""Tests of `pglogical_cdc.postgres.conversation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from pglogical_cdc.postgres.conversation import Conversation, Field, Verbatim, converse

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
def test_rows_are_sent_back_and_the_result_returned(database: Database) -> None:
    def conversation() -> Conversation[int]:
        rows = yield sql.SQL("SELECT 1, 'a' UNION ALL SELECT 2, 'b' ORDER BY 1")
        assert rows == [(1, "a"), (2, "b")]
        assert (yield sql.SQL("CREATE TABLE t (id int)")) == []
        return 7

    assert converse(database.connect(), conversation()) == 7


@pytest.mark.pg
def test_error_comes_at_its_statement(database: Database) -> None:
    def conversation() -> Conversation[str]:
        try:
            yield sql.SQL("SELECT 1 FROM nowhere")
        except psycopg.errors.UndefinedTable:
            ((text,),) = yield sql.SQL("SELECT 'went on'")
            return str(text)
        return "no error"

    assert converse(database.connect(), conversation()) == "went on"


@pytest.mark.pg
def test_error_that_nobody_expected_comes_out(database: Database) -> None:
    def conversation() -> Conversation[None]:
        yield sql.SQL("SELECT 1 FROM nowhere")

    with pytest.raises(psycopg.errors.UndefinedTable):
        converse(database.connect(), conversation())


@pytest.mark.pg
def test_verbatim_rows_are_as_the_server_sends_them(database: Database) -> None:
    database.execute("CREATE DOMAIN word AS varchar(9); CREATE TABLE t (b bool, w word, n int)")
    database.execute("INSERT INTO t VALUES (true, '', NULL)")
    ((oid,),) = database.execute("SELECT 't'::regclass::oid::int")

    def conversation() -> Conversation[None]:
        rows = yield Verbatim(sql.SQL("SET LOCAL work_mem = '1MB'; SELECT b, w, n, 1.5 FROM t"))
        assert rows == [
            (
                Field(b"t", oid, 16, -1),
                Field(b"", oid, 1043, 13),
                Field(None, oid, 23, -1),
                Field(b"1.5", 0, 1700, -1),
            )
        ]
        assert (yield Verbatim(sql.SQL("SELECT 1; SELECT b FROM t WHERE NOT b"))) == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            yield Verbatim(sql.SQL("SELECT 1; SELECT 1 FROM nowhere"))
        assert (yield sql.SQL("SELECT true")) == [(True,)]

    converse(database.connect(), conversation())


def test_no_value_is_shown() -> None:
    shown = repr((Verbatim(sql.SQL("SELECT 'canary'")), Field(b"canary", 0, 25, -1)))
    assert "25" in shown
    assert "canary" not in shown
