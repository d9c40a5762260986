"""Tests of `pglogical_cdc.cli.main`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pglogical_cdc import __version__
from pglogical_cdc.cli.main import commands, run


def test_version() -> None:
    result = CliRunner().invoke(commands, ["--version"])
    assert (result.exit_code, result.output) == (0, f"pglogical-cdc, version {__version__}\n")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_the_commands_and_what_this_is_not(option: str) -> None:
    result = CliRunner().invoke(commands, [option])
    assert result.exit_code == 0
    assert "not the pglogical extension" in " ".join(result.output.split())
    for command in ("demo", "snapshot", "stream"):
        assert f"\n  {command} " in result.output


def test_a_typed_error_is_a_message_and_exit_code_1() -> None:
    result = CliRunner().invoke(commands, ["stream", "--slot", "No Slot", "--publication", "p"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "slot" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_use_is_exit_code_2() -> None:
    result = CliRunner().invoke(commands, ["replicate"])
    assert result.exit_code == 2
    assert "replicate" in result.stderr


def test_run_exits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["anything", "--version"])
    with pytest.raises(SystemExit) as exited:
        run()
    assert exited.value.code == 0
    assert capsys.readouterr().out.startswith("pglogical-cdc")
