"""Tests of `pglogical_cdc.replication.silence`."""

from __future__ import annotations

from pglogical_cdc.replication.silence import Silence


def test_silent_server_is_asked_after_half_the_patience_and_gone_after_all_of_it() -> None:
    silence = Silence(60)
    assert silence.seconds(1000) == 30
    assert silence.seconds(1010) == 20
    assert silence.seconds(1030) == 0
    silence.ask(1030)
    assert silence.seconds(1030) == 30
    assert silence.seconds(1059) == 1
    assert silence.seconds(1060) < 0
    assert silence.seconds(2000) < 0


def test_anything_that_comes_begins_anew() -> None:
    silence = Silence(60)
    silence.seconds(1000)
    silence.heard()
    assert silence.seconds(1029) == 30
    assert silence.seconds(1059) == 0
    silence.ask(1059)
    silence.heard()
    assert silence.seconds(1080) == 30
    assert silence.seconds(1110) == 0


def test_only_waiting_counts() -> None:
    silence = Silence(60)
    silence.seconds(1000)
    silence.heard()
    # A loop body of an hour: nobody has listened, so nobody knows of a silence.
    assert silence.seconds(4600) == 30


def test_question_that_comes_late_still_has_half_the_patience() -> None:
    silence = Silence(60)
    assert silence.seconds(1000) == 30
    assert silence.seconds(4600) == 0  # nobody looked for an hour
    silence.ask(4600)
    assert silence.seconds(4600) == 30
    assert silence.seconds(4631) < 0
