"""Tests of `pglogical_cdc.postgres.connection`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pglogical_cdc.errors import ConfigurationError, ConnectionLostError
from pglogical_cdc.postgres import connection as connections
from pglogical_cdc.postgres.asynchronous import Asynchronous
from pglogical_cdc.postgres.flavour import Stopped
from pglogical_cdc.postgres.parameters import SESSION_SETTINGS, parameters
from tests.postgres.sessions import connect, connect_beside, drive

if TYPE_CHECKING:
    from pglogical_cdc.postgres.flavour import Flavour
    from tests.servers import Database


@pytest.mark.parametrize("text", ["connect_timeout=soon", "sslmode=perhaps", "port=x"])
def test_bad_parameter_is_a_typed_error(text: str) -> None:
    with pytest.raises((ConfigurationError, ConnectionLostError)):
        connect(parameters(f"host=127.0.0.1 {text} password=canary"))


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid", "127.0.0.1,nowhere.invalid"])
def test_nobody_there_is_retryable(host: str) -> None:
    """A name that nobody knows is retryable too: it may be that of a pod that is being made."""
    with pytest.raises(ConnectionLostError) as caught:
        connect(parameters(f"host={host} port=1 user=u password=canary connect_timeout=5"))
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
def test_with_an_event_loop_it_is_the_same(database: Database) -> None:
    if database.server.version >= 17:
        database.execute(f"ALTER DATABASE {database.name} SET transaction_timeout = '1s'")
    given = parameters(database.server.dsn(database.name, replication="true"))

    async def use(flavour: Flavour) -> None:
        main = await connections.connect(given, flavour)
        beside = await connections.connect_beside(given, main, flavour)
        plain = await connections.connect_plain(given, flavour)
        for connection in (main, beside, plain):
            assert isinstance(connection, psycopg.AsyncConnection)
            assert connection.autocommit
            cursor = await connection.execute("SELECT name, setting FROM pg_settings")
            settings = dict(await cursor.fetchall())
            assert settings["TimeZone"] == "UTC"
            assert settings.get("transaction_timeout", "0") == "0"
            identify = connection.execute("IDENTIFY_SYSTEM")
            if connection is main:
                assert (await (await identify).fetchall())[0][3] == database.name
            else:
                with pytest.raises(psycopg.errors.SyntaxError):
                    await identify
            await connection.close()
        flavour.stop()
        for connecting in (connections.connect, connections.connect_plain):
            with pytest.raises(Stopped):
                await connecting(given, flavour)

    drive(Asynchronous, use)


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


@pytest.mark.pg
def test_of_several_hosts_one_may_be_better_later(database: Database) -> None:
    port = database.server.embedded.port
    refused = "user=postgres dbname=no_such_one password=canary host=127.0.0.1,127.0.0.1"
    with pytest.raises(ConnectionLostError) as caught:
        connect(parameters(f"{refused} port=1,{port}"))
    assert "does not exist" in str(caught.value)
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="does not exist"):
        connect(parameters(f"{refused} port={port},{port}"))
