"""Tests of `pglogical_cdc.replication.settings`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Server
from pglogical_cdc.replication.backoff import Backoff
from pglogical_cdc.replication.settings import ReaderEvent
from tests.replication.arguments import checked
from tests.replication.stores import AsyncMemoryOffsets, MemoryOffsets


def _server(version: int = 180000, wal_sender_timeout: float = 60.0) -> Server:
    return Server("1", 1, LSN(0), False, "shop", version, "UTF8", wal_sender_timeout)


def test_names_and_tables_are_taken_apart() -> None:
    settings = checked(publications=["p", "q", "p"], tables=["public.t", 'public."a.b"'])
    assert settings.publications == ("p", "q")
    assert settings.tables == (("public", "t"), ("public", "a.b"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("two_phase", True),
        ("snapshot", "sometimes"),
        ("snapshot_include", []),
        ("snapshot_include", " , "),
        ("snapshot_include", ["("]),
        ("snapshot_exclude", "public.(t"),
        ("streaming", "on"),
        ("streaming", "parallel"),
        ("memory_limit", 1),
        ("reconnect", object()),
        ("offsets", object()),
        ("protocol", 2),
        ("protocol", "4"),
        ("ack", "later"),
        ("origin", "some"),
        ("on_offset_mismatch", "ignore"),
        ("slot", ""),
        ("slot", "Slot"),
        ("slot", "s; drop"),
        ("slot", "s" * 64),
        ("slot", "pg_slot"),
        ("slot", "slot\n"),
        ("publications", []),
        ("publications", ""),
        ("publications", ["p" * 64]),
        ("publications", "p\0"),
        ("tables", []),
        ("tables", "public.t"),
        ("tables", ["t"]),
        ("tables", ["a.b.c"]),
        ("until", "tomorrow"),
        ("until", -1),
        ("until", 1 << 64),
        ("idle_timeout", 0),
        ("idle_timeout", -1.0),
        ("idle_timeout", float("nan")),
        ("status_interval", 0.0),
        ("max_message_bytes", 0),
    ],
)
def test_wrong_argument_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(**{name: value})
    assert name.rstrip("s") in str(caught.value)


def test_temporary_failover_slot_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="temporary"):
        checked(temporary=True, failover=True)


def test_binary_values_cannot_be_reselected() -> None:
    assert checked(reselect=True).reselect
    with pytest.raises(ConfigurationError, match=r"binary=True.*reselect=True"):
        checked(binary=True, reselect=True)


def test_tables_of_snapshots_are_chosen_by_patterns() -> None:
    assert checked().snapshot_include is None
    assert not checked().snapshot_exclude.match("s.t")
    settings = checked(snapshot_include=r"s\..*,a.b", snapshot_exclude=[r"S\.T"])
    assert settings.snapshot_include is not None
    assert settings.snapshot_include.match("s.t")
    assert not settings.snapshot_include.match("s")
    assert settings.snapshot_exclude.match("s.t")


@pytest.mark.parametrize(
    ("until", "expected"),
    [(None, None), ("now", "now"), ("16/B374D848", LSN.parse("16/B374D848")), (16, LSN(16))],
)
def test_until_is_a_position_or_now(until: object, expected: object) -> None:
    assert checked(until=until).until == expected


@pytest.mark.parametrize(("protocol", "slot"), [("auto", "a"), (1, "_9")])
def test_what_this_version_reads_is_accepted(protocol: object, slot: str) -> None:
    assert checked(protocol=protocol, slot=slot).slot == slot


def test_status_goes_out_three_times_in_the_servers_patience() -> None:
    assert checked().status_seconds(_server(wal_sender_timeout=6)) == 2
    assert checked().status_seconds(_server(wal_sender_timeout=60)) == 10
    assert checked().status_seconds(_server(wal_sender_timeout=0)) == 10
    assert checked(status_interval=4.5).status_seconds(_server()) == 4.5


@pytest.mark.parametrize(
    ("given", "version"), [({"origin": "none"}, 160000), ({"failover": True}, 170000)]
)
def test_option_needs_its_version(given: dict[str, Any], version: int) -> None:
    settings = checked(**given)
    settings.check_server(_server(version))
    with pytest.raises(ConfigurationError, match=f"PostgreSQL {version // 10000}"):
        settings.check_server(_server(version - 1))


def test_status_interval_that_the_server_would_not_bear() -> None:
    settings = checked(status_interval=5)
    with pytest.raises(ConfigurationError, match="wal_sender_timeout"):
        settings.check_server(_server(wal_sender_timeout=5.0))
    settings.check_server(_server(wal_sender_timeout=6.0))
    settings.check_server(_server(wal_sender_timeout=0.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slot", None),
        ("publications", None),
        ("publications", b"p"),
        ("publications", [1]),
        ("tables", [("public", "t")]),
        ("create", "yes"),
        ("snapshot_include", [1]),
        ("snapshot_include", b"t"),
        ("snapshot_exclude", None),
        ("reselect", 1),
        ("until", 1.5),
        ("until", "later"),
        ("idle_timeout", "1"),
        ("idle_timeout", float("inf")),
        ("status_interval", float("nan")),
        ("status_interval", 0),
        ("max_message_bytes", None),
        ("protocol", True),
        ("adapters", 1),
        ("on_event", 1),
        ("reconnect", 3),
        ("reconnect", True),
        ("offsets", "/a/path"),
        ("offsets", type("OnlyLoads", (), {"load": None})()),
    ],
)
def test_arguments_of_wrong_types(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        checked(**{name: value})


def test_event_handler_that_nobody_would_await_is_refused() -> None:
    async def on_event(event: ReaderEvent) -> None: ...

    with pytest.raises(ConfigurationError, match="coroutine"):
        checked(on_event=on_event)


def test_lost_connections_are_made_anew_unless_told_otherwise() -> None:
    assert checked().reconnect == Backoff()
    assert checked(reconnect=None).reconnect is None
    assert checked(reconnect=Backoff(tries=3)).reconnect == Backoff(tries=3)


@pytest.mark.parametrize("store", [MemoryOffsets(), AsyncMemoryOffsets()])
def test_stores_of_both_kinds_are_taken(store: object) -> None:
    settings = checked(offsets=store, on_offset_mismatch="trust_slot")
    assert settings.offsets is store
    assert settings.on_offset_mismatch == "trust_slot"
    assert checked().on_offset_mismatch == "raise"


_SLOT: Any = SimpleNamespace(invalidated=False)
_LOST: Any = SimpleNamespace(invalidated=True)


@pytest.mark.parametrize(
    ("snapshot", "missing", "missing_and_known", "there", "invalidated"),
    [
        ("never", False, False, False, False),
        ("initial", True, False, False, False),
        ("initial_only", True, True, True, True),
        ("when_needed", True, True, False, True),
        ("always", True, True, True, True),
    ],
)
def test_when_a_snapshot_comes_first(
    snapshot: str, *, missing: bool, missing_and_known: bool, there: bool, invalidated: bool
) -> None:
    settings = checked(snapshot=snapshot, create=True)
    assert settings.wants_snapshot(None, known=False) is missing
    assert settings.wants_snapshot(None, known=True) is missing_and_known
    assert settings.wants_snapshot(_SLOT, known=False) is there
    assert settings.wants_snapshot(_LOST, known=True) is invalidated
    if snapshot == "initial":
        assert not checked(snapshot=snapshot).wants_snapshot(None, known=False)


def test_who_takes_a_new_snapshot_at_a_mismatch() -> None:
    assert checked(on_offset_mismatch="resnapshot").resnapshots
    assert checked(snapshot="when_needed").resnapshots
    assert not checked(snapshot="when_needed", on_offset_mismatch="trust_slot").resnapshots
    assert not checked(snapshot="always").resnapshots
