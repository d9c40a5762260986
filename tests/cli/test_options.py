"""Tests of `pglogical_cdc.cli.options`."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from pglogical_cdc.cli.main import commands

_COMMANDS = (["stream", "--slot", "s"], ["snapshot"])


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "file"], "--file PATH"),
        (["--to", "stdout", "--file", os.devnull], "--to file"),
        (["--binary"], "--format repr"),
        (["--format", "dms", "--topic-prefix", "x"], "--topic-prefix"),
        (["--format", "xml"], "xml"),
    ],
)
def test_options_that_do_not_go_together(
    command: list[str], arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(commands, [*command, "--publication", "p", *arguments])
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
def test_help_has_the_options_in_their_order(command: list[str]) -> None:
    shown = CliRunner().invoke(commands, [command[0], "--help"]).output
    places = [
        shown.index(f"\n  {option} ")
        for option in ("--dsn", "--publication", "--table", "--slot", "--format", "--to", "--file")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
def test_a_publication_is_needed(command: list[str]) -> None:
    result = CliRunner().invoke(commands, command)
    assert result.exit_code == 2
    assert "--publication" in result.stderr
