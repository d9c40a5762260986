from __future__ import annotations

from datetime import datetime, timezone

from pglogical_cdc.clock import time_ns


def test_is_the_time_of_day() -> None:
    before = datetime.now(timezone.utc).timestamp()
    now = time_ns()
    after = datetime.now(timezone.utc).timestamp()

    assert before - 0.001 <= now / 1e9 <= after + 0.001
