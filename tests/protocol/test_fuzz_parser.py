"""A sample of the fuzz run; the whole million is `python -m tests.protocol.fuzz_parser`."""

from __future__ import annotations

import pytest

from tests.protocol.fuzz_parser import fuzz, main


def test_damaged_messages_give_messages_or_protocol_errors() -> None:
    summary = fuzz(20_000, seed=2)
    assert summary.unexpected == []
    assert summary.inputs == 20_000
    # Both outcomes must be common, or the damage is not of the kind that finds anything.
    assert 1_000 < summary.messages < 19_000
    assert {"ProtocolError", "TruncatedMessageError", "UnknownMessageError"} <= set(
        summary.outcomes
    )
    assert {"InsertMessage", "StreamAbortMessage", "StreamPrepareMessage"} <= set(summary.outcomes)


@pytest.mark.slow
def test_a_million_damaged_messages() -> None:
    summary = fuzz(1_000_000, seed=1)
    assert summary.unexpected == []
    assert summary.inputs == 1_000_000


def test_a_seed_gives_the_same_run_again() -> None:
    assert fuzz(500, seed=3).outcomes == fuzz(500, seed=3).outcomes
    assert fuzz(500, seed=3).outcomes != fuzz(500, seed=4).outcomes


def test_command_prints_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "200", "--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("seed 5: 200 inputs in ")
