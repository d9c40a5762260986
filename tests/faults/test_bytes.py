"""Messages that are too big, big, or broken."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import pytest

from pglogical_cdc import MessageTooLargeError, ProtocolError
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres import PsycopgLoaders
from pglogical_cdc.replication.session import Session
from tests import golden, wire
from tests.faults.consumer import FLAVOURS, Consumer, Flavour
from tests.faults.scene import Notes, end_of_wal, quiet_load
from tests.reading import confirmed

if TYPE_CHECKING:
    from tests.servers import Database


@pytest.mark.pg
@pytest.mark.fault(21)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_message_over_the_limit(
    database: Database, slot_name: str, flavour: Flavour, tally: Callable[..., None]
) -> None:
    with quiet_load(database.dsn, slot_name) as load:
        database.execute("CREATE TABLE big (id int PRIMARY KEY, v text)")
        database.execute("ALTER PUBLICATION pub ADD TABLE big")
        notes = Notes()
        with Consumer(
            flavour, database.dsn, slot_name, notes, max_message_bytes=100_000
        ) as consumer:
            load.run(10)
            database.execute("INSERT INTO big VALUES (1, repeat('x', 99000))")
            load.run(10)
            load.mark()
            before = load.expected()
            database.execute(
                "INSERT INTO big VALUES (2, 'small'), (3, repeat('secret', 20000)), (4, 'small')"
            )
            past_the_large = end_of_wal(database.dsn)
            load.run(10)
            error = consumer.failure(20)
        assert isinstance(error, MessageTooLargeError)
        assert not error.retryable
        assert "100000 bytes (max_message_bytes)" in error.expected
        assert "secret" not in str(error)
        assert consumer.reader.stats.reconnects == 0
        assert notes.verdict(before).is_clean
        assert [insert.after["id"] for insert in notes.inserts()] == [1, 2]
        assert confirmed(database, slot_name) < past_the_large

        notes.begin_again()
        with Consumer(
            flavour, database.dsn, slot_name, notes, max_message_bytes=150_000
        ) as consumer:
            consumer.finish(load.mark())
        assert [insert.after["id"] for insert in notes.inserts()] == [1, 2, 2, 3, 4]
        tally("message over max_message_bytes", 1, notes.verdict(load.expected()))


@pytest.mark.pg
@pytest.mark.fault(21)
@pytest.mark.versions(18)
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_row_of_100_megabytes(
    database: Database,
    slot_name: str,
    flavour: Flavour,
    binary: bool,
    tally: Callable[..., None],
) -> None:
    size = 100_000_000
    with quiet_load(database.dsn, slot_name) as load:
        database.execute("CREATE TABLE big (id int PRIMARY KEY, v text, n int)")
        database.execute("ALTER PUBLICATION pub ADD TABLE big")
        notes = Notes()
        with Consumer(flavour, database.dsn, slot_name, notes, binary=binary) as consumer:
            load.run(5)
            database.execute(f"INSERT INTO big VALUES (1, repeat('x', {size}), 1)")
            # It is not sent again where it is left alone.
            database.execute("UPDATE big SET n = 2")
            load.run(5)
            consumer.finish(load.mark())
            assert consumer.reader.stats.reconnects == 0
        insert, update = notes.others
        assert insert.after is not None
        assert update.after is not None
        value = insert.after["v"]
        assert isinstance(value, str)
        assert (len(value), set(value[::100_000])) == (size, {"x"})
        assert dict(update.after)["n"] == 2
        tally("row of 100 MB", 1, notes.verdict(load.expected()))


# -- broken bytes

_STREAMS: Final = ("raw_pgoutput_v1", "raw_pgoutput_v1_binary", "messages/plain_v1")

_LENGTHS: Final = tuple(
    length.to_bytes(4, "big", signed=True) for length in (0, -1, 65_536, 2**31 - 1, -(2**31))
)


def _stream(name: str) -> list[bytes]:
    """The messages of a recorded stream, as they are sent."""
    return [
        wire.xlog_data(payload, lsn, lsn)
        for lsn, _, payload in golden.raw_messages(name)
        if len(payload) < 3000
    ]


def _broken(chance: random.Random, message: bytes, others: list[bytes]) -> Iterator[bytes]:
    """What may come in place of a message: a broken one, none, another one, the same twice."""
    data = bytearray(message)
    # Some damage is done to the envelope, most to what is in it.
    place = chance.randrange(25 if len(data) > 25 and chance.random() < 0.9 else 0, len(data))
    match chance.randrange(8):
        case 0:
            del data[place:]
        case 1 | 2:
            data[place] ^= 1 << chance.randrange(8)
        case 3:
            data[place : place + 4] = chance.choice(_LENGTHS)
        case 4:
            data[25 if len(data) > 25 else 0] = chance.randrange(256)
        case 5:
            return
        case 6:
            yield bytes(data)
        case 7:
            yield chance.choice(others)
    yield bytes(data)


def _session() -> Session:
    return Session(
        database="shop",
        loaders=PsycopgLoaders(),
        confirmed_flush=LSN(0),
        max_message_bytes=1 << 20,
    )


def _take(session: Session, data: bytes) -> int:
    """Take a message as a reader does; give the number of changes in it."""
    changes = list(session.take(data))
    if session.undescribed is not None:
        changes += session.describe(None)
    for change in changes:
        session.deliver(change)
        for image in (change.before, change.after):
            dict(image or {})
        session.acknowledge(change)
    session.status_update(0)
    return len(changes)


@pytest.mark.fault(22)
@pytest.mark.parametrize("name", _STREAMS)
def test_broken_messages_are_protocol_errors(name: str) -> None:
    chance = random.Random(name)
    messages = _stream(name)
    outcomes = Counter[str]()
    most = 0
    tracemalloc.start()
    try:
        for _ in range(25):
            session = _session()
            broken = chance.randrange(len(messages))
            for number, message in enumerate(messages):
                sent = [message] if number != broken else _broken(chance, message, messages)
                if number >= broken:
                    tracemalloc.reset_peak()
                held = tracemalloc.get_traced_memory()[0]
                try:
                    for data in sent:
                        outcomes["changes"] += _take(session, data)
                except ProtocolError as error:
                    assert number >= broken
                    outcomes[error.expected] += 1
                    break
                finally:
                    if number >= broken:
                        most = max(most, tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
    # Messages are of 3 kB at most; what one of them costs does not follow from the lengths in it.
    assert most < 4_000_000
    assert outcomes["changes"] > 500
    assert 5 < sum(outcomes.values()) - outcomes["changes"] < 25
