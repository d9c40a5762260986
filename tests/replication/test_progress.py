"""Tests of `pglogical_cdc.replication.progress`."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.replication.progress import Progress


def _transaction(progress: Progress, commit_lsn: int, changes: int) -> None:
    progress.begin()
    for ordinal in range(1, changes + 1):
        progress.deliver(commit_lsn, ordinal)
    progress.commit(commit_lsn, changes, commit_lsn + 8)


def test_starts_where_the_slot_is() -> None:
    progress = Progress(100)
    assert (progress.flushed, progress.received) == (100, 100)
    assert progress.is_acknowledged


def test_moves_to_the_end_of_an_acknowledged_transaction_and_never_inside() -> None:
    progress = Progress(100)
    progress.begin()
    progress.deliver(200, 1)
    progress.deliver(200, 2)
    progress.acknowledge(200, 1)
    assert progress.flushed == 100
    progress.acknowledge(200, 2)
    assert progress.is_acknowledged
    assert progress.flushed == 100
    progress.commit(200, 2, 208)
    assert progress.flushed == 208


def test_acknowledging_is_cumulative() -> None:
    progress = Progress()
    for commit_lsn in (10, 20, 30):
        _transaction(progress, commit_lsn, 2)
    progress.acknowledge(20, 2)
    assert progress.flushed == 28
    progress.acknowledge(10, 1)
    assert progress.flushed == 28
    progress.acknowledge(30, 2)
    assert progress.flushed == 38


def test_position_of_the_future_acknowledges_what_was_delivered_only() -> None:
    progress = Progress()
    _transaction(progress, 10, 1)
    progress.acknowledge(1000, 1)
    assert progress.flushed == 18
    _transaction(progress, 20, 1)
    assert progress.flushed == 18


def test_keepalive_waits_for_what_is_in_hand() -> None:
    progress = Progress()
    progress.keepalive(5)
    assert progress.flushed == 5
    _transaction(progress, 10, 1)
    progress.keepalive(50)
    assert (progress.flushed, progress.received) == (5, 50)
    progress.acknowledge(10, 1)
    assert progress.flushed == 50


def test_keepalive_inside_a_transaction_waits_for_its_commit() -> None:
    progress = Progress()
    progress.begin()
    progress.keepalive(50)
    assert progress.flushed == 0
    progress.commit(60, 0, 68)
    assert progress.flushed == 68


def test_empty_transaction_is_acknowledged_with_what_is_before_it() -> None:
    progress = Progress()
    _transaction(progress, 10, 1)
    _transaction(progress, 20, 0)
    assert progress.flushed == 0
    progress.acknowledge(10, 1)
    assert progress.flushed == 28


def test_message_outside_a_transaction_stands_for_itself() -> None:
    progress = Progress()
    progress.deliver_message(10)
    progress.keepalive(50)
    assert progress.flushed == 0
    progress.acknowledge(10, 0)
    assert progress.flushed == 50


def test_message_alone_moves_to_its_end() -> None:
    progress = Progress()
    progress.deliver_message(10)
    progress.acknowledge(10, 0)
    assert progress.flushed == 10


def test_after_a_reconnect_keepalives_count_from_anew() -> None:
    progress = Progress(100)
    progress.begin()
    progress.deliver(200, 1)
    progress.keepalive(190)
    progress.resume()
    progress.acknowledge(200, 1)
    assert progress.flushed == 100
    assert progress.delivered == (200, 1)
    progress.keepalive(150)  # of the new stream, which is not as far yet
    assert progress.flushed == 150
    progress.begin()
    progress.keepalive(300)
    assert progress.flushed == 150
    progress.commit(200, 1, 208)
    assert progress.flushed == 300


def test_what_was_delivered_before_a_reconnect_is_still_to_be_acknowledged() -> None:
    progress = Progress(100)
    _transaction(progress, 200, 2)
    progress.begin()
    progress.deliver(300, 1)
    assert progress.delivered_end == 208
    progress.resume()
    progress.keepalive(250)
    assert progress.flushed == 100
    assert not progress.is_acknowledged
    progress.acknowledge(200, 2)
    assert progress.flushed == 250
    assert progress.acknowledged_end == 208


def test_begins_after_what_another_process_has_dealt_with() -> None:
    progress = Progress(100)
    progress.begin_after(90)
    assert (progress.delivered_end, progress.acknowledged_end) == (90, 90)
    assert (progress.flushed, progress.is_acknowledged) == (100, True)


def test_keepalives_are_taken_back_and_transactions_are_not() -> None:
    progress = Progress(100)
    _transaction(progress, 200, 1)
    progress.acknowledge(200, 1)
    progress.keepalive(500)
    progress.take_back(600)
    assert (progress.flushed, progress.received) == (500, 500)
    progress.take_back(300)
    assert (progress.flushed, progress.received) == (300, 300)
    progress.take_back(150)
    assert (progress.flushed, progress.received) == (208, 208)
    progress.resume()
    progress.keepalive(250)
    assert progress.flushed == 250


def test_time_of_the_oldest_commit() -> None:
    progress = Progress()
    for commit_lsn in (10, 20):
        progress.begin()
        progress.deliver(commit_lsn, 1)
        assert progress.oldest_commit == (None if commit_lsn == 10 else 7010)
        progress.commit(commit_lsn, 1, commit_lsn + 8, 7000 + commit_lsn)
    progress.acknowledge(10, 1)
    assert progress.oldest_commit == 7020
    progress.acknowledge(20, 1)
    assert progress.oldest_commit is None


# What the server may send in one go, and what the application may do in between.
Step: TypeAlias = "tuple[str, int]"

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 4)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("message"), st.just(0)),
        st.tuples(st.just("keepalive"), st.integers(0, 20)),
        st.tuples(st.just("ack"), st.integers(-3, 3)),
        st.tuples(st.just("reconnect"), st.integers(0, 12)),
    ),
    max_size=80,
)


class _Model:
    """A slow and simple progress: it keeps every change and looks at all of them each time."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.lsn = 0
        self.delivered: list[tuple[int, int]] = []
        self.acknowledged = (0, 0)
        self.ends: list[tuple[tuple[int, int], int]] = []
        self.open: tuple[int, int, int] | None = None
        self.keepalive = 0
        self.flushed = 0

    def step(self, kind: str, number: int) -> None:
        self._step(kind, number)
        waiting = self.unacknowledged
        limit = waiting[0] if waiting else (self.lsn + 1, 0)
        done = [end for last, end in self.ends if last < limit]
        idle = [self.keepalive] if not waiting and self.open is None else []
        self.flushed = max([self.flushed, *done, *idle])

    def _step(self, kind: str, number: int) -> None:
        if kind == "begin" and self.open is None:
            self.lsn += 10
            self.open = (self.lsn, 0, number)
            self.progress.begin()
        elif kind == "next" and self.open is not None:
            self._next(*self.open)
        elif kind == "message" and self.open is None:
            self.lsn += 10
            self.delivered.append((self.lsn, 0))
            self.ends.append(((self.lsn, 0), self.lsn))
            self.progress.deliver_message(self.lsn)
        elif kind == "keepalive" and self.open is None:
            self.lsn += number
            self.keepalive = self.lsn
            self.progress.keepalive(self.lsn)
        elif kind == "ack":
            self._ack(number)
        elif kind == "reconnect":
            self._reconnect(number)

    def _reconnect(self, back: int) -> None:
        """The stream begins anew: a keepalive, and the transaction that was cut off."""
        self.progress.resume()
        self.keepalive = 0
        cut, self.open = self.open, None
        # The commit of what was cut off lies at the end; a keepalive never goes past that.
        keepalive = max(0, self.lsn - back)
        self.progress.keepalive(keepalive)
        # What had no change in it has nothing that could be acknowledged.
        if not [last for last, _ in self.ends if self.acknowledged < last in self.delivered]:
            self.flushed = max(self.flushed, keepalive)
        if cut is not None:
            self.open = (cut[0], 0, cut[2])
            self.progress.begin()
        else:
            self.keepalive = keepalive

    def _next(self, commit_lsn: int, ordinal: int, changes: int) -> None:
        if ordinal < changes:
            self.open = (commit_lsn, ordinal + 1, changes)
            if (commit_lsn, ordinal + 1) not in self.delivered:
                self.delivered.append((commit_lsn, ordinal + 1))
                self.progress.deliver(commit_lsn, ordinal + 1)
        else:
            self.open = None
            self.lsn += 8
            self.ends.append(((commit_lsn, changes), self.lsn))
            self.progress.commit(commit_lsn, changes, self.lsn)

    def _ack(self, back: int) -> None:
        if not self.delivered:
            return
        if back < 0:
            position = (self.delivered[-1][0] - back, 0)
        else:
            position = self.delivered[max(0, len(self.delivered) - 1 - back)]
        reached = [delivered for delivered in self.delivered if delivered <= position]
        if reached:
            self.acknowledged = max(self.acknowledged, reached[-1])
        self.progress.acknowledge(*position)

    @property
    def unacknowledged(self) -> list[tuple[int, int]]:
        return [position for position in self.delivered if position > self.acknowledged]


@given(_steps)
def test_agrees_with_a_model_that_keeps_everything(steps: list[Step]) -> None:
    model = _Model()
    before = 0
    for kind, number in steps:
        model.step(kind, number)
        progress = model.progress
        assert progress.flushed >= before
        before = progress.flushed
        assert progress.flushed == model.flushed
        for commit_lsn, _ in model.unacknowledged:
            assert progress.flushed <= commit_lsn
        if model.open is not None:
            assert progress.flushed <= model.open[0]
        assert progress.is_acknowledged == (not model.unacknowledged)
    while model.open is not None:
        model.step("next", 0)
    model.step("ack", 0)
    model.step("keepalive", 20)
    assert model.progress.flushed == model.lsn
