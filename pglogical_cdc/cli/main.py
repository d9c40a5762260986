"""The command group, and how an error of ours looks to somebody at a terminal."""

from __future__ import annotations

from typing import Any

import click

from pglogical_cdc import __version__
from pglogical_cdc.cli.demo import demo
from pglogical_cdc.cli.snapshot import snapshot
from pglogical_cdc.cli.stream import stream
from pglogical_cdc.errors import CdcError

__all__ = ("commands", "run")


class _Commands(click.Group):
    """Commands whose typed errors end in a message and exit code 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CdcError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pglogical-cdc")
def commands() -> None:
    """Change data capture from PostgreSQL: typed events, Debezium JSON and AWS DMS JSON.

    It reads the built-in pgoutput plugin. The server needs wal_level=logical and no extension; this
    is not the pglogical extension.
    """


commands.add_command(demo)
commands.add_command(snapshot)
commands.add_command(stream)


def run() -> None:
    """Run the command that the program's arguments name, and exit."""
    commands(prog_name="pglogical-cdc")
