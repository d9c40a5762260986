"""A password is in no message, no log line, no repr, and no traceback with its variables."""

from __future__ import annotations

import asyncio
import itertools
import logging
import pickle
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import make_conninfo

import pglogical_cdc as cdc
from tests.faults.proxy import Proxy
from tests.reading import make_slot

if TYPE_CHECKING:
    from tests.servers import Database

pytestmark = [pytest.mark.pg, pytest.mark.versions(18)]

_TRIES = cdc.Backoff(initial=0.01, maximum=0.02, tries=2)


def _shown(error: BaseException, *, variables: bool) -> list[str]:
    """All that a reporter of errors may show, but for the frames of this file."""
    lines = [str(error), repr(error)]
    found: BaseException | None = error
    while found is not None:
        for frame in traceback.TracebackException.from_exception(
            found, capture_locals=variables
        ).stack:
            if frame.filename != __file__:
                lines += map(str, (frame.locals or {}).items())
        lines += map(str, vars(found).items())
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return lines


def test_canary_is_nowhere(
    database: Database, slot_name: str, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    make_slot(database, slot_name)
    rows = itertools.count()
    canary = f"canary_{uuid.uuid4().hex}"  # so that no line of this file holds it
    shown: list[str] = []
    told: list[cdc.ReaderEvent] = []
    options: dict[str, Any] = {
        "slot": slot_name,
        "publications": "pub",
        "reconnect": _TRIES,
        "on_event": told.append,
        "offsets": cdc.FileOffsets(tmp_path / "offsets.json"),
    }

    def note(thing: object) -> None:
        shown.extend([repr(thing), str(thing), str(vars(thing))])

    def sync(dsn: str, proxy: Proxy) -> None:
        with cdc.ReplicationReader(dsn, **options) as reader:
            note(reader)
            note(reader._source)
            for _ in reader:
                proxy.refuse()
                proxy.cut()

    async def asynchronous(dsn: str, proxy: Proxy) -> None:
        async with cdc.AsyncReplicationReader(dsn, **options) as reader:
            note(reader)
            note(reader._source)
            async for _ in reader:
                proxy.refuse()
                proxy.cut()

    def load(dsn: str) -> None:
        with cdc.PostgresOffsets(dsn) as store:
            note(store)
            store.load(slot_name + "x")

    def use(dsn: str, proxy: Proxy) -> None:
        readers = (lambda: sync(dsn, proxy), lambda: asyncio.run(asynchronous(dsn, proxy)))
        for attempt in (
            *readers,
            lambda: cdc.slots.list(dsn),
            lambda: cdc.slots.drop(dsn, slot_name + "x"),
            lambda: load(dsn),
        ):
            database.execute("INSERT INTO t VALUES (%s)", [next(rows)])
            try:
                attempt()
            except cdc.CdcError as error:
                # A connection string that a function was given is a variable of it as well.
                shown.extend(_shown(error, variables=attempt in readers))
                shown.append(str(pickle.dumps(str(error))))
            proxy.accept()

    with caplog.at_level(logging.DEBUG), Proxy(database.server.embedded.port) as proxy:
        for changed in (
            {},
            {"dbname": "nowhere"},
            {"user": "nobody_here"},
            {"port": 1},
            {"sslmode": "verify-full"},
            {"connect_timeout": "x"},
            {"options": "-c no_such_setting=1"},
        ):
            given = {"password": canary, "sslpassword": canary, **changed}
            use(make_conninfo(proxy.dsn(database.dsn), **given), proxy)  # type: ignore[arg-type]
        for broken in (canary, f"password={canary} host", f"postgresql://u:{canary}@h/?x=1"):
            use(broken, proxy)
    shown += [record.getMessage() for record in caplog.records]
    shown += map(repr, told)
    assert [text for text in shown if canary in text] == []
    assert any(event.state == "retrying" for event in told)
    assert len(shown) > 100
