"""Tests of `pglogical_cdc.cli.output`."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from pglogical_cdc.cli.output import is_broken_pipe, is_terminal, stdout_bytes
from pglogical_cdc.errors import ConfigurationError, SinkError
from tests.cli.running import run_python


def test_stdout_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    assert stdout_bytes() is stdout.buffer
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ConfigurationError):
        stdout_bytes()


def test_stdout_that_python_does_not_buffer_is_written_whole() -> None:
    result = run_python(
        "import io; from pglogical_cdc.cli.output import stdout_bytes\n"
        "stream = stdout_bytes(); assert isinstance(stream, io.BufferedWriter), stream\n"
        "stream.write(b'whole'); stream.flush(); del stream; print(' and open')",
        PYTHONUNBUFFERED="1",
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "whole and open\n", "")


def test_a_terminal_is_one_and_a_pipe_or_nothing_is_none() -> None:
    ours, its = pty.openpty()
    read_end, write_end = os.pipe()
    assert is_terminal(its)
    assert not is_terminal(write_end)
    for each in (ours, its, read_end, write_end):
        os.close(each)
    assert not is_terminal(its)


def test_a_broken_pipe_is_known_in_itself_and_as_the_cause_of_a_sink_error() -> None:
    broken = SinkError("gone")
    broken.__cause__ = BrokenPipeError()
    full = SinkError("full")
    full.__cause__ = OSError()
    assert is_broken_pipe(broken)
    assert is_broken_pipe(BrokenPipeError())
    assert not is_broken_pipe(full)
    assert not is_broken_pipe(SinkError("alone"))


def test_what_is_buffered_is_dropped() -> None:
    result = run_python(
        "import sys; from pglogical_cdc.cli.output import abandon_stdout\n"
        "print('seen', flush=True); print('dropped'); abandon_stdout()"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "seen\n", "")
