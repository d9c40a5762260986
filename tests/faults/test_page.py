"""Tests of `tests.faults.page`."""

from __future__ import annotations

from collections import Counter

from tests.faults.page import PAGE, Results, tables


def test_tables_show_what_was_told() -> None:
    results = Results()
    results.versions |= {"18", "15"}
    results.injected["cut"] = Counter(times=3, events=1234)
    results.outcomes[1].update(passed=2, failed=1)
    made = tables(results, "abc")
    assert "Commit `abc`, PostgreSQL 15, 18," in made
    assert "| cut | 3 | 1,234 | 0 | 0 | 0 |" in made
    assert "| 1 failed, 2 passed |" in made
    assert "| 35 | prepared transactions" in made


def test_page_is_made_of_them() -> None:
    """Of a full run: nothing lost, nothing twice, nothing out of order, no test failed."""
    text = PAGE.read_text(encoding="utf-8")
    assert "failed" not in text
    assert "| none |" not in text
    assert "-dirty" not in text
    rows = [line for line in text.splitlines() if line.startswith("| random faults, ")]
    assert len(rows) == 2
    for row in rows:
        _, times, _, *wrong = [cell.strip() for cell in row.strip("| ").split("|")]
        assert int(times.replace(",", "")) >= 400
        assert wrong == ["0", "0", "0"]
