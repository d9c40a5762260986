"""Prints how much was compared with Debezium's records, by configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

__all__ = ()

_PROPERTY: Final = "compared with Debezium"


@pytest.fixture
def report_compared(
    record_property: Callable[[str, object], None],
) -> Callable[[str, int, int], None]:
    """Take the name of a configuration, and how many records and fields were the same."""

    def report(name: str, records: int, fields: int) -> None:
        record_property(_PROPERTY, f"{name}: {records} records, {fields} fields")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if lines:
        terminalreporter.section(_PROPERTY)
        terminalreporter.write("\n".join([*lines, ""]))
