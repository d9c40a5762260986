from __future__ import annotations

from datetime import datetime, timezone

from pglogical_cdc.formatters.clock import utc_nanoseconds


def test_is_the_time_of_day() -> None:
    before = datetime.now(timezone.utc).timestamp()
    now = utc_nanoseconds()
    after = datetime.now(timezone.utc).timestamp()

    assert before - 0.001 <= now / 1e9 <= after + 0.001


def test_counts_whole_microseconds() -> None:
    assert utc_nanoseconds() % 1000 == 0
