"""Tests of `pglogical_cdc.postgres.parameters`."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.postgres.parameters import SESSION_SETTINGS, parameters

_VARIABLES: Final = ("PGHOST", "PGOPTIONS", "PGTARGETSESSIONATTRS", "PGCONNECT_TIMEOUT")


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


@pytest.mark.parametrize("text", ["", "host=a", "host=a replication=true", "replication=database"])
def test_each_of_our_connections_chooses_its_protocol(text: str) -> None:
    assert "replication" not in parameters(text)


def test_what_the_user_says_stays() -> None:
    given = parameters("host=a connect_timeout=3 application_name=mine sslmode=require port=7")
    assert (given["connect_timeout"], given["application_name"]) == ("3", "mine")
    assert (given["sslmode"], given["port"]) == ("require", "7")
    assert given["fallback_application_name"] == "pglogical_cdc"


def test_no_connection_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parameters("host=a")["connect_timeout"] == 10
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
    assert "connect_timeout" not in parameters("host=a")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:can@ary@h/db",
        "postgresql://u:p@canary@h:5432/db",
        "host=u@canary",
        "host=a,b@canary",
    ],
)
def test_host_with_an_at_is_the_rest_of_a_password(text: str) -> None:
    with pytest.raises(ConfigurationError, match="as %40") as caught:
        parameters(text)
    assert "ary" not in str(caught.value)


def test_host_of_an_abstract_socket_and_quoted_passwords_pass() -> None:
    assert parameters("host=@abstract")["host"] == "@abstract"
    assert parameters("postgresql://u:p%40q@h/db")["password"] == "p@q"


@pytest.mark.parametrize("text", [None, 7, b"host=a", "host=\udc80"])
def test_what_is_no_text_is_a_typed_error(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither a libpq connection string"):
        parameters(text)
