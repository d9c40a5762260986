"""Options that several commands have: where to read from, and what to write where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import click

from pglogical_cdc.cli.transfer import Format, Output

__all__ = ("output_options", "source_options")

_Command: TypeAlias = Callable[..., None]

_DEFAULT_PREFIX: Final = "cdc"

_SOURCE: Final = (
    click.option(
        "--dsn",
        envvar="PGLOGICAL_CDC_DSN",
        default="",
        show_envvar=True,
        help="libpq connection string or URI. Without one, libpq's own environment (PGHOST, "
        "PGSERVICE, ...) says where. Other users of the machine can see what stands here.",
    ),
    click.option(
        "--publication",
        "publications",
        required=True,
        multiple=True,
        help="Publication; repeatable.",
    ),
    click.option(
        "--table",
        "tables",
        multiple=True,
        metavar="SCHEMA.TABLE",
        help="Table that the publication is for; repeatable. With --create and without: all "
        "tables.",
    ),
)

_OUTPUT: Final = (
    click.option(
        "--format",
        "format_name",
        type=click.Choice(get_args(Format)),
        default="debezium",
        show_default=True,
        help="Shape of the output; repr is the typed event as Python shows it.",
    ),
    click.option(
        "--to",
        type=click.Choice(["stdout", "file"]),
        help="Where to write.  [default: stdout, or file if there is --file]",
    ),
    click.option(
        "--file", type=click.Path(dir_okay=False, path_type=Path), help="File to append to."
    ),
    click.option("--binary", is_flag=True, help="Values in binary; for --format repr."),
    click.option(
        "--topic-prefix",
        help="First part of the topics of debezium and unwrapped.  [default: cdc]",
    ),
)


def source_options(command: _Command) -> _Command:
    """Give a command the options ``dsn``, ``publications`` and ``tables``."""
    return _with(command, _SOURCE)


def output_options(command: _Command) -> _Command:
    """Give a command the options of its output, as the arguments ``output`` and ``binary``."""

    @functools.wraps(command)
    def checked(
        *,
        format_name: Format,
        to: str | None,
        file: Path | None,
        binary: bool,
        topic_prefix: str | None,
        **others: Any,
    ) -> None:
        if to == "file" and file is None:
            raise click.UsageError("--to file needs --file PATH")
        if to == "stdout" and file is not None:
            raise click.UsageError("--file goes with --to file")
        if binary and format_name != "repr":
            raise click.UsageError(
                "--binary goes with --format repr: JSON is made of values as text"
            )
        if topic_prefix is not None and format_name not in ("debezium", "unwrapped"):
            raise click.UsageError("--topic-prefix goes with --format debezium or unwrapped")
        output = Output(format_name, topic_prefix or _DEFAULT_PREFIX, file)
        command(output=output, binary=binary, **others)

    return _with(checked, _OUTPUT)


def _with(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
