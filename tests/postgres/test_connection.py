"""Tests of `pglogical_cdc.postgres.connection`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.errors import ConfigurationError, ConnectionLostError
from pglogical_cdc.postgres.connection import (
    SESSION_SETTINGS,
    connect,
    connect_beside,
    parameters,
)

if TYPE_CHECKING:
    from tests.servers import Database

_VARIABLES = ("PGHOST", "PGOPTIONS", "PGTARGETSESSIONATTRS")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("text", ["postgresql://u:canary@h/db", "host=h user=u password=canary"])
def test_both_forms_are_read(text: str) -> None:
    given = parameters(text)
    assert (given["host"], given["user"], given["password"]) == ("h", "u", "canary")
    assert given["client_encoding"] == "UTF8"


@pytest.mark.parametrize(
    "text", ["canary", "postgresql://u:canary@h/db?what=1", "password='canary"]
)
def test_what_is_neither_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parameters(text)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_our_settings_come_behind_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = parameters("options='-c datestyle=German -c work_mem=1MB'")["options"]
    assert mine.startswith("-c datestyle=German -c work_mem=1MB -c ")
    for name, value in SESSION_SETTINGS.items():
        assert f"-c {name}={value}" in mine
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=2MB")
    assert parameters("")["options"].startswith("-c work_mem=2MB -c ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host=a", None),
        ("host=a,b", "read-write"),
        ("postgresql://a:1,b:2/db", "read-write"),
        ("host=a,b target_session_attrs=any", "any"),
    ],
)
def test_of_several_hosts_the_one_that_can_be_written(text: str, expected: str | None) -> None:
    assert parameters(text).get("target_session_attrs") == expected


def test_environment_counts_for_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "a,b")
    assert parameters("")["target_session_attrs"] == "read-write"
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "any")
    assert "target_session_attrs" not in parameters("")


@pytest.mark.parametrize("text", ["connect_timeout=soon", "sslmode=perhaps", "port=x"])
def test_bad_parameter_is_a_typed_error(text: str) -> None:
    with pytest.raises((ConfigurationError, ConnectionLostError)):
        connect(parameters(f"host=127.0.0.1 {text} password=canary"))


def test_nobody_there_is_retryable() -> None:
    with pytest.raises(ConnectionLostError) as caught:
        connect(parameters("host=127.0.0.1 port=1 user=u password=canary"))
    assert caught.value.retryable
    assert "canary" not in str(caught.value)


@pytest.mark.pg
def test_settings_win_over_database_and_user(database: Database) -> None:
    for name, value in (
        ("datestyle", "German, DMY"),
        ("intervalstyle", "sql_standard"),
        ("extra_float_digits", "-5"),
        ("bytea_output", "escape"),
        ("timezone", "Asia/Tokyo"),
        ("client_min_messages", "error"),
        ("lc_monetary", "POSIX"),
        ("statement_timeout", "1s"),
        ("lock_timeout", "1s"),
        ("idle_session_timeout", "1s"),
    ):
        database.execute(f"ALTER DATABASE {database.name} SET {name} = '{value}'")
    if database.server.version >= 17:
        database.execute(f"ALTER DATABASE {database.name} SET transaction_timeout = '1s'")
    given = parameters(database.dsn)
    with connect(given) as main, connect_beside(given, main) as beside:
        for connection in (main, beside):
            settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
            for name, value in SESSION_SETTINGS.items():
                found = next(v for k, v in settings.items() if k.lower() == name)
                assert found.split(",")[0] == value, name
            assert settings["client_encoding"] == "UTF8"
            assert settings.get("transaction_timeout", "0") == "0"


@pytest.mark.pg
def test_users_options_stay(database: Database) -> None:
    dsn = database.server.dsn(database.name, options="-c work_mem=7MB -c datestyle=German")
    with connect(parameters(dsn)) as connection:
        assert connection.execute("SHOW work_mem").fetchall() == [("7MB",)]
        assert connection.execute("SHOW datestyle").fetchall()[0][0].startswith("ISO")


@pytest.mark.pg
def test_first_is_for_replication_and_second_is_not(database: Database) -> None:
    given = parameters(database.server.dsn(database.name, replication="true"))
    with connect(given) as main, connect_beside(given, main) as beside:
        assert main.execute("IDENTIFY_SYSTEM").fetchall()[0][3] == database.name
        with pytest.raises(psycopg.errors.SyntaxError):
            beside.execute("IDENTIFY_SYSTEM")
        assert main.autocommit
        assert beside.autocommit


@pytest.mark.pg
def test_beside_is_the_server_that_was_reached(database: Database) -> None:
    port = database.server.embedded.port
    given = parameters(
        f"host=127.0.0.1,127.0.0.1 port=1,{port} user=postgres dbname={database.name}"
    )
    with connect(given) as main, connect_beside(given, main) as beside:
        assert main.info.port == beside.info.port == port


def _login(database: Database, attributes: str, **params: Any) -> str:
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} {attributes}")
    return database.server.dsn(database.name, user=role, **params)


@pytest.mark.pg
@pytest.mark.parametrize("attributes", ["LOGIN", "NOLOGIN REPLICATION"])
def test_role_without_the_privilege(database: Database, attributes: str) -> None:
    dsn = _login(database, attributes, password="canary")
    try:
        with pytest.raises(ConfigurationError, match="LOGIN and REPLICATION") as caught:
            connect(parameters(dsn))
        assert not caught.value.retryable
        assert "canary" not in str(caught.value)
    finally:
        database.execute(f"DROP ROLE {database.name}_role")


@pytest.mark.pg
@pytest.mark.parametrize("wrong", [{"dbname": "no such one"}, {"user": "no such one"}])
def test_name_that_does_not_exist(database: Database, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        connect(parameters(database.server.dsn(**wrong)))
