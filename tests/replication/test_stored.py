"""Tests of `pglogical_cdc.replication.stored`."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from pglogical_cdc import FileOffsets, Offset, OffsetStoreError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import Blocking, PsycopgLoaders, Server, run
from pglogical_cdc.replication.session import Session
from pglogical_cdc.replication.settings import Settings
from pglogical_cdc.replication.stored import StoredPosition
from tests.replication.arguments import checked

SERVER = Server(
    system_identifier="7",
    timeline=3,
    position=LSN(0x900),
    in_recovery=False,
    database="shop",
    version=180000,
    encoding="UTF8",
    wal_sender_timeout=60,
)


def _settings(offsets: object) -> Settings:
    return checked(slot="shop", publications="pub", offsets=offsets)


def _session(stored: int | None) -> Session:
    session = Session(
        database="shop",
        loaders=PsycopgLoaders(None),
        confirmed_flush=LSN(0x100),
        max_message_bytes=1 << 20,
    )
    session.stored = None if stored is None else LSN(stored)
    return session


def test_position_is_saved_when_it_is_further(tmp_path: Path) -> None:
    store = FileOffsets(tmp_path / "offset")
    position = StoredPosition(_settings(store), Blocking())
    assert run(position.load()) is None
    session = _session(0)
    run(position.save(session, SERVER))
    expected = Offset("7", 3, "shop", LSN(0x100), LSN(0))
    assert run(position.load()) == store.load("shop") == expected
    assert session.stored == session.confirmed == 0x100
    session.progress.keepalive(0x180)
    assert session.confirmed == 0x100  # not before it is stored
    run(position.save(session, evolve(SERVER, timeline=4)))
    assert store.load("shop") == evolve(expected, position=LSN(0x180), timeline=4)
    assert session.confirmed == 0x180
    before = (tmp_path / "offset").stat().st_ino
    run(position.save(session, SERVER))
    assert (tmp_path / "offset").stat().st_ino == before


def test_without_a_store_nothing_is_done() -> None:
    position = StoredPosition(_settings(None), Blocking())
    session = _session(None)
    assert run(position.load()) is None
    run(position.save(session, SERVER))
    assert session.stored is None


class _Wrong:
    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self, key: str) -> object:
        return self.loaded

    def save(self, key: str, offset: Offset) -> None:
        raise OffsetStoreError("full")


@pytest.mark.parametrize(
    "loaded", ["0/100", Offset("7", 3, "other", LSN(0x100), LSN(0))], ids=["type", "slot"]
)
def test_what_a_store_may_not_load(loaded: object) -> None:
    position = StoredPosition(_settings(_Wrong(loaded)), Blocking())
    with pytest.raises(OffsetStoreError, match="'shop'"):
        run(position.load())


def test_what_cannot_be_stored_is_not_confirmed() -> None:
    position = StoredPosition(_settings(_Wrong(None)), Blocking())
    session = _session(0)
    with pytest.raises(OffsetStoreError, match="full"):
        run(position.save(session, SERVER))
    assert session.confirmed == 0
