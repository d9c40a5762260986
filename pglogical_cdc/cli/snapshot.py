"""``pglogical-cdc snapshot``: the rows that are there to standard output or a file."""

from __future__ import annotations

import click

from pglogical_cdc.cli.options import output_options, source_options
from pglogical_cdc.cli.output import is_terminal
from pglogical_cdc.cli.snapshot_bars import snapshot_summary
from pglogical_cdc.cli.transfer import Output, transfer
from pglogical_cdc.replication import ReplicationReader

__all__ = ("snapshot",)


@click.command(short_help="Write the rows of a publication's tables to stdout or a file.")
@source_options
@click.option("--create", is_flag=True, help="Create the publication if it is missing.")
@click.option(
    "--include",
    multiple=True,
    metavar="REGEX",
    help="Tables to read, matching schema.table as a whole; repeatable.  [default: all]",
)
@click.option("--exclude", multiple=True, metavar="REGEX", help="Tables not to read; repeatable.")
@click.option(
    "--slot",
    default="pglogical_cdc",
    show_default=True,
    help="First part of the name of the temporary slot that the rows are read with.",
)
@output_options
def snapshot(
    *,
    dsn: str,
    publications: tuple[str, ...],
    create: bool,
    tables: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    slot: str,
    binary: bool,
    output: Output,
) -> None:
    """Write the rows of a publication's tables as they are at one moment, one line each, and end.

    No slot stays behind.
    """
    reader = ReplicationReader(
        dsn,
        slot=slot,
        publications=publications,
        create=create,
        tables=tables or None,
        snapshot="initial_only",
        snapshot_include=include or None,
        snapshot_exclude=exclude,
        binary=binary,
    )
    is_complete = transfer(reader, output)
    stats = reader.stats.snapshot
    if stats is not None and is_terminal(2):
        click.echo(snapshot_summary(stats), err=True)
    if not is_complete:
        # Not as `stream`, which goes on the next time: whoever takes this for all rows is wrong.
        raise click.ClickException("stopped before all rows were written")
