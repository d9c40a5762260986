"""``pglogical-cdc stream``: the changes of a slot to standard output or a file."""

from __future__ import annotations

from typing import get_args

import click

from pglogical_cdc.cli.options import output_options, source_options
from pglogical_cdc.cli.transfer import Output, transfer
from pglogical_cdc.replication import ReplicationReader, SnapshotMode

__all__ = ("stream",)


@click.command(short_help="Write the changes of a slot to stdout or a file.")
@source_options
@click.option("--slot", required=True, help="Replication slot.")
@click.option("--create", is_flag=True, help="Create the publication and the slot if missing.")
@click.option(
    "--snapshot",
    type=click.Choice(get_args(SnapshotMode)),
    default="never",
    show_default=True,
    help="Write the rows that are there first: if there is no slot yet (with --create), ...",
)
@click.option(
    "--snapshot-include",
    multiple=True,
    metavar="REGEX",
    help="Tables whose rows are written first, matching schema.table as a whole; repeatable.",
)
@click.option(
    "--snapshot-exclude",
    multiple=True,
    metavar="REGEX",
    help="Tables whose rows are not; repeatable. All are streamed.",
)
@click.option(
    "--until",
    metavar="LSN|now",
    help="End before the first transaction that commits here or later.",
)
@click.option(
    "--idle-timeout", type=float, metavar="SECONDS", help="End after so long without a change."
)
@click.option("--messages", is_flag=True, help="Include pg_logical_emit_message.")
@output_options
def stream(
    *,
    dsn: str,
    slot: str,
    publications: tuple[str, ...],
    create: bool,
    tables: tuple[str, ...],
    snapshot: SnapshotMode,
    snapshot_include: tuple[str, ...],
    snapshot_exclude: tuple[str, ...],
    until: str | None,
    idle_timeout: float | None,
    messages: bool,
    binary: bool,
    output: Output,
) -> None:
    """Write the changes of a slot, one line each, until Ctrl-C, SIGTERM or the end asked for.

    What was written is acknowledged to the server. Changes that were not acknowledged come again
    the next time.
    """
    if (snapshot_include or snapshot_exclude) and snapshot == "never":
        raise click.UsageError("--snapshot-include and --snapshot-exclude go with --snapshot")
    reader = ReplicationReader(
        dsn,
        slot=slot,
        publications=publications,
        create=create,
        tables=tables or None,
        snapshot=snapshot,
        snapshot_include=snapshot_include or None,
        snapshot_exclude=snapshot_exclude,
        until=until,
        idle_timeout=idle_timeout,
        binary=binary,
        messages=messages,
    )
    transfer(reader, output)
