"""Tests of `pglogical_cdc.replication.ownership`."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.replication.ownership import Ownership
from tests.reading import active_pid, confirmed, keys, make_slot, reader, wait_until

if TYPE_CHECKING:
    from tests.servers import Database


def _in_thread(function: Callable[[], object]) -> list[BaseException]:
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised


def _in_child(function: Callable[[], object]) -> str:
    """Call in a forked process, and return what came of it."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
        pid = os.fork()
    if pid == 0:
        try:
            outcome = repr(function())
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        finally:
            try:
                os.write(write_end, outcome.encode())
            finally:
                os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        outcome = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return outcome


def test_first_thread_that_asks_is_the_one() -> None:
    ownership = Ownership()
    assert _in_thread(ownership.check) == []
    with pytest.raises(ConfigurationError, match="another thread"):
        ownership.check()
    other = Ownership()
    other.check()
    other.check()
    (error,) = _in_thread(other.check)
    assert isinstance(error, ConfigurationError)


def test_child_process_owns_nothing_of_its_parents() -> None:
    used, unused = Ownership(), Ownership()
    used.check()
    for ownership in (used, unused):
        assert not ownership.is_inherited
        outcome = _in_child(ownership.check)
        assert outcome.startswith("ConfigurationError")
        assert "another process" in outcome
        assert not ownership.is_inherited
        ownership.check()

    def own() -> bool:
        made = Ownership()
        made.check()
        return made.is_inherited

    assert _in_child(own) == "False"


@pytest.mark.pg
def test_reader_belongs_to_one_thread_and_one_process(database: Database, slot_name: str) -> None:
    make_slot(database, slot_name)
    database.execute("INSERT INTO t SELECT generate_series(1, 3)")
    with reader(database, slot_name, status_interval=0.2) as made:
        loop = iter(made)
        first = next(loop)
        uses: list[Callable[[], object]] = [
            lambda: next(loop),
            lambda: made.poll(0),
            lambda: made.ack(first),
            lambda: next(made.batches()),
            lambda: next(made.transactions()),
        ]
        for use in uses:
            (error,) = _in_thread(use)
            assert isinstance(error, ConfigurationError)
            assert "another thread" in str(error)
            assert "another process" in _in_child(use)
        loop = iter(made)
        assert next(loop) is first
        process = active_pid(database, slot_name)
        # Neither closing nor leaving all to the garbage collector ends what the parent reads.
        assert _in_child(made.close) == "None"
        assert _in_child(lambda: made.__exit__(None, None, None)) == "None"
        before = confirmed(database, slot_name)
        database.execute("INSERT INTO t VALUES (4)")
        assert keys([next(loop), next(loop), next(loop)]) == [2, 3, 4]
        assert active_pid(database, slot_name) == process
        wait_until(lambda: confirmed(database, slot_name) > before)
        assert made.stats.reconnects == 0
