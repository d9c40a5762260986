"""Tests of `pglogical_cdc.cli.log_lines`."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.console import Console

from pglogical_cdc.cli.log_lines import log_lines

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def _log() -> None:
    logging.getLogger("pglogical_cdc.snapshot").info("%d rows", 7)
    logging.getLogger("pglogical_cdc.replication.link").info("not told")
    logging.getLogger("pglogical_cdc.replication.link").warning("lost [bold]")


def test_without_a_terminal_there_are_warnings_and_the_progress_of_snapshots(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log_lines(None):
        _log()
    _log()
    assert re.fullmatch(rf"{_TIME}7 rows\n{_TIME}lost \[bold\]\n", capsys.readouterr().err)


def test_on_a_terminal_warnings_go_above_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    shown = io.StringIO()
    with log_lines(Console(file=shown, force_terminal=True, width=20)):
        _log()
    _log()
    assert re.fullmatch(rf"{_TIME}lost \[bold\]\n", shown.getvalue())
    assert capsys.readouterr().err == ""
