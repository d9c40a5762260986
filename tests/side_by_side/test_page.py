"""What the page shows is what is written, and what it calls Debezium's is Debezium's."""

from __future__ import annotations

import pytest

from tests.golden import debezium_records
from tests.golden.comparison import line_of, our_line
from tests.side_by_side.page import PAGE, Case, cases, page, records_of_debezium


def test_the_page_is_what_is_written() -> None:
    shown = PAGE.read_text(encoding="utf-8")
    assert shown == page(), "write it anew: python -m tests.side_by_side.page"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_the_records_of_debezium_are_the_connectors(case: Case) -> None:
    recorded = {line_of(each)._replace(headers=()) for each in debezium_records("skipped_none")}
    records = records_of_debezium(case)
    assert records
    for each in records:
        assert our_line(each)._replace(headers=()) in recorded
