"""``pglogical-cdc demo``: a server of its own, and its changes in three shapes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import click
import psycopg
from rich.console import Console

from pglogical_cdc.cli.demo_display import Display, PlainDisplay, TerminalDisplay
from pglogical_cdc.cli.demo_workload import TABLES, Step, create_tables, perform
from pglogical_cdc.cli.embedded import EmbeddedServer, find_embedded_binaries
from pglogical_cdc.cli.output import abandon_stdout, is_broken_pipe, is_terminal, stdout_bytes
from pglogical_cdc.cli.signals import terminated_as_interrupted
from pglogical_cdc.errors import SinkError
from pglogical_cdc.formatters import DebeziumFormatter, DmsFormatter
from pglogical_cdc.replication import ReplicationReader

__all__ = ("demo",)

_NAME: Final = "demo"
"""Of the slot, the publication and the topics."""

_PROGRAM: Final = f"""
    import pglogical_cdc as cdc

    with cdc.ReplicationReader(dsn, slot="{_NAME}", publications=["{_NAME}"]) as reader:
        for change in reader:
            ...
"""

_SETTINGS: Final = {"fsync": "off", "shared_buffers": "16MB"}


@click.command(short_help="Show live changes of a temporary server in three shapes.")
@click.option("--keep", is_flag=True, help="Leave the server up until Ctrl-C, and print its DSN.")
def demo(*, keep: bool) -> None:
    """Start a PostgreSQL, change some rows, and show each change in three shapes.

    They are the typed event, Debezium's records and AWS DMS's record. The server is a temporary one
    that only this command uses, and is removed at the end.
    """
    terminated_as_interrupted()
    # Not rich's own test, which lets the environment force colours into a pipe.
    on_terminal = is_terminal(1)
    display: Display = TerminalDisplay(Console()) if on_terminal else PlainDisplay(stdout_bytes())
    try:
        display.note("Starting a PostgreSQL of its own ...")
        with EmbeddedServer(find_embedded_binaries(), settings=_SETTINGS) as server:
            count = _show_changes(server, display)
            display.note(f"\n{count} changes. In a program of yours:\n{_PROGRAM}")
            if on_terminal:
                display.note("Long texts are shortened here; pipe the output to see them whole.")
            if keep:
                _keep(server, display)
    except (BrokenPipeError, SinkError) as error:
        abandon_stdout()
        if not is_broken_pipe(error):
            raise


def _show_changes(server: EmbeddedServer, display: Display) -> int:
    debezium = DebeziumFormatter(topic_prefix=_NAME, skipped_operations="none")
    dms = DmsFormatter(message_format="json-unformatted")
    count = 0
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        version = connection.info.parameter_status("server_version")
        display.note(f"PostgreSQL {version} runs on port {server.port}.")
        create_tables(connection)
        with ReplicationReader(
            server.dsn(),
            slot=_NAME,
            publications=[_NAME],
            create=True,
            tables=TABLES,
            until="now",
        ) as reader:
            titles = _Titles(perform(connection), display)
            for change in reader:
                titles.show(None if change.transaction is None else change.transaction.xid)
                display.event(change)
                display.records("debezium", debezium.format(change))
                display.records("dms", dms.format(change))
                count += 1
    return count


class _Titles:
    """Shows each step before its first change."""

    def __init__(self, steps: Mapping[int, Step], display: Display) -> None:
        self._steps = steps
        self._display = display
        self._shown: int | None = None

    def show(self, xid: int | None) -> None:
        if xid is not None and xid != self._shown and xid in self._steps:
            self._shown = xid
            self._display.step(self._steps[xid])


def _keep(server: EmbeddedServer, display: Display) -> None:
    dsn = server.dsn()
    try:
        display.note(
            f"The server stays up until Ctrl-C. Slot {_NAME!r} and publication {_NAME!r} are there "
            "for more:\n"
            f"DSN: {dsn}\n"
            f'    pglogical-cdc stream --dsn "{dsn}" --slot {_NAME} --publication {_NAME}\n'
            f'    psql "{dsn}"'
        )
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        display.note("Stopping the server.")
