"""Transfer: what a reader reads to standard output or a file, as lines, until it ends."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from rich.console import Console

from pglogical_cdc._attrs import record
from pglogical_cdc.cli.event_lines import EventLines
from pglogical_cdc.cli.log_lines import log_lines
from pglogical_cdc.cli.output import abandon_stdout, is_broken_pipe, is_terminal, stdout_bytes
from pglogical_cdc.cli.signals import stopped_by_signals
from pglogical_cdc.cli.status import AboveStatus, StatusDisplay, live_status
from pglogical_cdc.errors import SinkError
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Formatter, UnwrappedFormatter
from pglogical_cdc.pipeline import Pipeline
from pglogical_cdc.replication import ReplicationReader
from pglogical_cdc.sinks import FileSink, StdoutSink

__all__ = ("Format", "Output", "transfer")

Format: TypeAlias = Literal["debezium", "dms", "unwrapped", "repr"]

_ABOVE_STATUS_BUFFER: Final = 64 * 1024
"""Bytes that are printed above the status at a time: it is drawn anew after each."""


@record
class Output:
    """What is written, and where."""

    format: Format
    """Shape of the lines; ``repr`` is the typed event as Python shows it."""
    topic_prefix: str
    """First part of the topics of Debezium's formats."""
    file: Path | None
    """None is standard output."""


def transfer(reader: ReplicationReader, output: Output) -> bool:
    """Open a reader, and write what it reads until its end or a signal.

    On a terminal, standard error shows how far it is; else it has lines of the log.

    Returns:
        Whether it was left to its end: False if a signal has stopped it.

    Raises:
        CdcError: it cannot be read or written.
    """
    console = Console(stderr=True) if is_terminal(2) else None
    formatter = _formatter(output)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        reader.stop()

    overdue = True
    try:
        with stopped_by_signals(stop):
            # The destination first: no slot is to be created for output that has no place to go.
            with contextlib.ExitStack() as unless_it_runs:
                pipeline = _pipeline(reader, formatter, output.file, console, unless_it_runs)
                with log_lines(console), reader, _status(reader, console):
                    unless_it_runs.pop_all()  # the run closes the sink itself
                    pipeline.run()
            overdue = False
    except SinkError as error:
        abandon_stdout()
        if not is_broken_pipe(error):
            raise
    else:
        if overdue:
            abandon_stdout()
    return not stopped


def _formatter(output: Output) -> Formatter | None:
    match output.format:
        case "debezium":
            return DebeziumFormatter(topic_prefix=output.topic_prefix)
        case "unwrapped":
            return UnwrappedFormatter(topic_prefix=output.topic_prefix)
        case "dms":
            return DmsFormatter(message_format="json-unformatted")
        case "repr":
            return None


def _pipeline(
    reader: ReplicationReader,
    formatter: Formatter | None,
    file: Path | None,
    console: Console | None,
    unless_it_runs: contextlib.ExitStack,
) -> Pipeline:
    """Return the pipeline; its sink is closed by the stack."""
    if formatter is None:
        lines = EventLines(_stdout(console) if file is None else file)
        unless_it_runs.callback(lines.close)
        return Pipeline(reader, sink=lines)
    sink = StdoutSink(_stdout(console)) if file is None else FileSink(file)
    unless_it_runs.callback(sink.close)
    return Pipeline(reader, formatter=formatter, sink=sink)


def _stdout(console: Console | None) -> BinaryIO:
    if console is not None and is_terminal(1):
        return io.BufferedWriter(AboveStatus(console), _ABOVE_STATUS_BUFFER)
    return stdout_bytes()


def _status(
    reader: ReplicationReader, console: Console | None
) -> contextlib.AbstractContextManager[None]:
    if console is None:
        return contextlib.nullcontext()
    return live_status(StatusDisplay(lambda: reader.stats), console)
