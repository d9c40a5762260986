"""Each fault has a test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.lines import LINES, NOT_YET

_MARKER = re.compile(r"mark\.fault\(([\d, ]+)\)")


def test_each_fault_has_a_test() -> None:
    marked: set[int] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for numbers in _MARKER.findall(path.read_text(encoding="utf-8")):
            marked.update(map(int, numbers.split(",")))
    assert marked == LINES.keys()
    assert not LINES.keys() & NOT_YET.keys()
    assert sorted(LINES.keys() | NOT_YET.keys()) == list(range(1, 39))
