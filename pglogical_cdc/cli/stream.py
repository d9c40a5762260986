"""``pglogical-cdc stream``: the changes of a slot to standard output or a file."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias, cast, get_args

import click
from rich.console import Console

from pglogical_cdc._attrs import record
from pglogical_cdc.cli.event_lines import EventLines
from pglogical_cdc.cli.output import abandon_stdout, is_broken_pipe, is_terminal, stdout_bytes
from pglogical_cdc.cli.signals import stopped_by_signals
from pglogical_cdc.cli.status import AboveStatus, StatusLine, live_status
from pglogical_cdc.errors import SinkError
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter, Formatter, UnwrappedFormatter
from pglogical_cdc.pipeline import Pipeline
from pglogical_cdc.replication import ReplicationReader, SnapshotMode
from pglogical_cdc.sinks import FileSink, StdoutSink

__all__ = ("stream",)

Format: TypeAlias = Literal["debezium", "dms", "unwrapped", "repr"]

_DEFAULT_PREFIX: Final = "cdc"


@record
class _Destination:
    """Where the lines go."""

    file: Path | None
    """None is standard output."""
    console: Console | None
    """Where the status line is; None for no status line."""


@click.command(short_help="Write the changes of a slot to stdout or a file.")
@click.option(
    "--dsn",
    envvar="PGLOGICAL_CDC_DSN",
    default="",
    show_envvar=True,
    help="libpq connection string or URI. Without one, libpq's own environment (PGHOST, "
    "PGSERVICE, ...) says where. Other users of the machine can see what stands here.",
)
@click.option("--slot", required=True, help="Replication slot.")
@click.option(
    "--publication", "publications", required=True, multiple=True, help="Publication; repeatable."
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["debezium", "dms", "unwrapped", "repr"]),
    default="debezium",
    show_default=True,
    help="Shape of the output; repr is the typed event as Python shows it.",
)
@click.option(
    "--to",
    type=click.Choice(["stdout", "file"]),
    help="Where to write.  [default: stdout, or file if there is --file]",
)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="File to append to.")
@click.option("--create", is_flag=True, help="Create the publication and the slot if missing.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="SCHEMA.TABLE",
    help="Table that the publication is for; repeatable. With --create and without: all tables.",
)
@click.option(
    "--snapshot",
    type=click.Choice(get_args(SnapshotMode)),
    default="never",
    show_default=True,
    help="Write the rows that are there first: if there is no slot yet (with --create), ...",
)
@click.option(
    "--until",
    metavar="LSN|now",
    help="End before the first transaction that commits here or later.",
)
@click.option(
    "--idle-timeout", type=float, metavar="SECONDS", help="End after so long without a change."
)
@click.option("--binary", is_flag=True, help="Values in binary; for --format repr.")
@click.option("--messages", is_flag=True, help="Include pg_logical_emit_message.")
@click.option(
    "--topic-prefix",
    help="First part of the topics of debezium and unwrapped.  [default: cdc]",
)
def stream(
    *,
    dsn: str,
    slot: str,
    publications: tuple[str, ...],
    format_name: str,
    to: str | None,
    file: Path | None,
    create: bool,
    tables: tuple[str, ...],
    snapshot: str,
    until: str | None,
    idle_timeout: float | None,
    binary: bool,
    messages: bool,
    topic_prefix: str | None,
) -> None:
    """Write the changes of a slot, one line each, until Ctrl-C, SIGTERM or the end asked for.

    What was written is acknowledged to the server. Changes that were not acknowledged come again
    the next time.
    """
    chosen = cast("Format", format_name)
    if to == "file" and file is None:
        raise click.UsageError("--to file needs --file PATH")
    if to == "stdout" and file is not None:
        raise click.UsageError("--file goes with --to file")
    if binary and chosen != "repr":
        raise click.UsageError("--binary goes with --format repr: JSON is made of values as text")
    if topic_prefix is not None and chosen not in ("debezium", "unwrapped"):
        raise click.UsageError("--topic-prefix goes with --format debezium or unwrapped")

    formatter = _formatter(chosen, topic_prefix or _DEFAULT_PREFIX)
    console = Console(stderr=True) if is_terminal(2) else None
    reader = ReplicationReader(
        dsn,
        slot=slot,
        publications=publications,
        create=create,
        tables=tables or None,
        snapshot=cast("SnapshotMode", snapshot),
        until=until,
        idle_timeout=idle_timeout,
        binary=binary,
        messages=messages,
    )
    _run(reader, formatter, _Destination(file, console))


def _formatter(chosen: Format, topic_prefix: str) -> Formatter | None:
    match chosen:
        case "debezium":
            return DebeziumFormatter(topic_prefix=topic_prefix)
        case "unwrapped":
            return UnwrappedFormatter(topic_prefix=topic_prefix)
        case "dms":
            return DmsFormatter(message_format="json-unformatted")
        case "repr":
            return None


def _run(reader: ReplicationReader, formatter: Formatter | None, to: _Destination) -> None:
    overdue = True
    try:
        with stopped_by_signals(reader.stop):
            # The destination first: no slot is to be created for output that has no place to go.
            with contextlib.ExitStack() as unless_it_runs:
                pipeline = _pipeline(reader, formatter, to, unless_it_runs)
                with reader, _status(reader, to):
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


def _pipeline(
    reader: ReplicationReader,
    formatter: Formatter | None,
    to: _Destination,
    unless_it_runs: contextlib.ExitStack,
) -> Pipeline:
    """Return the pipeline; its sink is closed by the stack."""
    if formatter is None:
        lines = EventLines(_stdout(to) if to.file is None else to.file)
        unless_it_runs.callback(lines.close)
        return Pipeline(reader, sink=lines)
    sink = StdoutSink(_stdout(to)) if to.file is None else FileSink(to.file)
    unless_it_runs.callback(sink.close)
    return Pipeline(reader, formatter=formatter, sink=sink)


def _stdout(to: _Destination) -> BinaryIO:
    if to.console is not None and is_terminal(1):
        return io.BufferedWriter(AboveStatus(to.console))
    return stdout_bytes()


def _status(reader: ReplicationReader, to: _Destination) -> contextlib.AbstractContextManager[None]:
    if to.console is None:
        return contextlib.nullcontext()
    return live_status(StatusLine(lambda: reader.stats), to.console)
