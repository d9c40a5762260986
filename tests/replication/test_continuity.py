"""Tests of `pglogical_cdc.replication.continuity`."""

from __future__ import annotations

import pytest
from attrs import evolve

from pglogical_cdc.errors import (
    ConnectionLostError,
    SlotGapError,
    SystemMismatchError,
    TimelineDivergedError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.offsets import Offset
from pglogical_cdc.postgres import Server, Slot
from pglogical_cdc.replication.continuity import on_server, on_slot

KNOWN = Offset("77", 3, "s", position=LSN(0x900), transaction_end=LSN(0x500))


def _server(
    timeline: int = 3, position: int = 0x1000, *, in_recovery: bool = False, system: str = "77"
) -> Server:
    return Server(system, timeline, LSN(position), in_recovery, "shop", 180000, "UTF8", 60.0)


def _slot(confirmed_flush_lsn: int) -> Slot:
    return Slot(
        name="s",
        plugin="pgoutput",
        database="shop",
        temporary=False,
        active_pid=None,
        restart_lsn=LSN(1),
        confirmed_flush_lsn=LSN(confirmed_flush_lsn),
        wal_status="reserved",
        safe_wal_size=None,
        two_phase=False,
        failover=False,
        synced=False,
        conflicting=False,
        inactive_since=None,
        invalidation_reason=None,
        retained_bytes=0,
        lag_bytes=0,
        lag_seconds=None,
        inactive_seconds=None,
    )


def test_same_server_further_on() -> None:
    for position in (0x900, 0x1000):
        assert on_server(KNOWN, _server(position=position), {}) == KNOWN


def test_other_system() -> None:
    for timeline in (3, 4):
        with pytest.raises(SystemMismatchError, match=r"77.*78") as caught:
            on_server(KNOWN, _server(timeline, system="78"), {3: LSN(0x1000)})
        assert caught.value.slot == "s"
        assert not caught.value.retryable


@pytest.mark.parametrize("end", [0x900, 0x901, 0x2000])
def test_timeline_that_split_behind_all_that_is_known(end: int) -> None:
    held = on_server(KNOWN, _server(4), {1: LSN(0x100), 2: LSN(0x200), 3: LSN(end)})
    assert held == evolve(KNOWN, timeline=4)


@pytest.mark.parametrize("end", [0x500, 0x501, 0x8FF])
def test_keepalive_beyond_the_split_is_taken_back(end: int) -> None:
    held = on_server(KNOWN, _server(5), {3: LSN(end), 4: LSN(0x2000)})
    assert held == evolve(KNOWN, timeline=5, position=LSN(end))


@pytest.mark.parametrize("end", [0, 0x4FF])
def test_timeline_that_split_before_the_last_transaction(end: int) -> None:
    with pytest.raises(TimelineDivergedError) as caught:
        on_server(KNOWN, _server(4), {3: LSN(end)})
    text = str(caught.value)
    assert "timeline 3 ended" in text
    assert f"from {LSN(end)} to {LSN(0x500)}" in text
    assert (caught.value.slot, caught.value.retryable) == ("s", False)


def test_nothing_read_yet_cannot_diverge() -> None:
    fresh = evolve(KNOWN, transaction_end=LSN(0))
    held = on_server(fresh, _server(4), {3: LSN(0x100)})
    assert (held.position, held.timeline) == (0x100, 4)


@pytest.mark.parametrize(
    ("timeline", "ends"),
    [
        (2, {1: LSN(0x2000)}),  # the old primary, that the new one's descends from
        (1, {}),
        (4, {1: LSN(0x2000), 2: LSN(0x2000)}),  # a sister of ours
    ],
)
def test_timeline_that_does_not_descend(timeline: int, ends: dict[int, LSN]) -> None:
    with pytest.raises(TimelineDivergedError, match=f"timeline {timeline}, which does not descend"):
        on_server(KNOWN, _server(timeline), ends)


def test_primary_behind_what_was_read_has_lost_it() -> None:
    with pytest.raises(TimelineDivergedError, match=f"has got to {LSN(0x4FF)} only"):
        on_server(KNOWN, _server(position=0x4FF), {})
    held = on_server(KNOWN, _server(position=0x500), {})
    assert held == evolve(KNOWN, position=LSN(0x500))


def test_standby_may_be_behind() -> None:
    for position in (0, 0x4FF):
        # It may get there still, and may not, if it takes over before.
        with pytest.raises(ConnectionLostError, match="the standby has got to") as caught:
            on_server(KNOWN, _server(position=position, in_recovery=True), {})
        assert caught.value.retryable
    for position in (0x500, 0x2000):
        held = on_server(KNOWN, _server(position=position, in_recovery=True), {})
        assert held == evolve(KNOWN, position=min(KNOWN.position, LSN(position)))


def test_standby_on_another_timeline_has_its_history_all_the_same() -> None:
    server = _server(4, 0x100, in_recovery=True)
    assert on_server(KNOWN, server, {3: LSN(0x600)}).position == 0x600
    with pytest.raises(TimelineDivergedError):
        on_server(KNOWN, server, {3: LSN(0x400)})


@pytest.mark.parametrize(
    ("position", "transaction_end", "slot"),
    [(0x900, 0x500, 0x900), (0x900, 0x500, 0x100), (0x500, 0x900, 0x900), (0, 0, 0)],
)
def test_slot_that_has_all_that_was_not_read(
    position: int, transaction_end: int, slot: int
) -> None:
    known = evolve(KNOWN, position=LSN(position), transaction_end=LSN(transaction_end))
    on_slot(known, _slot(slot))


@pytest.mark.parametrize(("position", "transaction_end"), [(0x900, 0x500), (0x500, 0x900)])
def test_slot_that_has_been_moved_on(position: int, transaction_end: int) -> None:
    known = evolve(KNOWN, position=LSN(position), transaction_end=LSN(transaction_end))
    with pytest.raises(SlotGapError) as caught:
        on_slot(known, _slot(0x901))
    text = str(caught.value)
    assert f"is at {LSN(0x901)}, but reading has got to {LSN(0x900)} only" in text
    assert caught.value.slot == "s"
