"""Tests of `pglogical_cdc.pipeline.blocking`; test_movement.py has what both pipelines do."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.pipeline import Pipeline
from pglogical_cdc.replication import ReplicationReader
from tests.pipeline.tape import Awaited, Recorder, Server, Tape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pglogical_cdc.events import Change
    from pglogical_cdc.pipeline import ChangeSource


def test_a_real_reader_is_a_source() -> None:
    def takes(source: ChangeSource) -> None: ...

    takes(ReplicationReader("", slot="s", publications="p"))


def test_an_asynchronous_sink_is_refused() -> None:
    tape = Tape([])
    sink: Any = Awaited(Recorder(tape))
    with pytest.raises(ConfigurationError, match="write of Awaited is a coroutine function"):
        Pipeline(tape, sink=sink)


@pytest.mark.parametrize("name", ["write", "flush", "close"])
def test_one_asynchronous_method_is_enough_to_be_refused(name: str) -> None:
    tape = Tape([])
    sink: Any = Recorder(tape)
    setattr(sink, name, getattr(Awaited(Recorder(tape)), name))
    with pytest.raises(ConfigurationError, match=f"{name} of Recorder is a coroutine function"):
        Pipeline(tape, sink=sink)
    assert tape.log == []


def test_everything_is_called_in_the_calling_thread() -> None:
    server = Server()
    idents: list[int] = []

    class Noting(Recorder):
        def write(self, items: Sequence[Any], /) -> None:
            idents.append(threading.get_ident())
            super().write(items)

        def flush(self) -> None:
            idents.append(threading.get_ident())
            super().flush()

        def close(self) -> None:
            idents.append(threading.get_ident())
            super().close()

    tape = Tape([*server.transaction(1, 1)])
    Pipeline(tape, sink=Noting(tape)).run()
    assert idents == [threading.get_ident()] * 4


def test_ctrl_c_is_like_an_error() -> None:
    server = Server()

    class Waiting(Tape):
        def poll(self, timeout: float | None = 0.0) -> Change | None:
            if timeout is None:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                time.sleep(60)
            return super().poll(timeout)

    tape = Waiting([*server.transaction(1), None])
    tape.is_open = False
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Pipeline(tape, sink=Recorder(tape)).run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert tape.log == ["write insert1", "flush", "ack 1", "close", "reader closed"]
