"""The rooms that a change walks through, one by one and without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks import backlog
from pglogical_cdc.events import Change, ChangeAssembler
from pglogical_cdc.postgres import PsycopgLoaders
from pglogical_cdc.protocol import Message, PgoutputParser, RelationMessage

__all__ = ("LSN", "assembled", "parsed")

LSN: Final = 0x1000
"""Of every message."""


def parsed(payloads: Sequence[bytes]) -> list[Message]:
    """Return the messages of payloads."""
    parse = PgoutputParser(protocol_version=1).parse
    return [parse(payload) for payload in payloads]


def assembled(
    messages: Sequence[Message], columns: backlog.Columns = backlog.COLUMNS
) -> list[Change]:
    """Return the changes of messages of a table whose columns are known."""
    assembler = ChangeAssembler(database="bench", loaders=PsycopgLoaders())
    for message in parsed(backlog.preamble(columns)):
        described = backlog.catalog(columns) if isinstance(message, RelationMessage) else None
        assembler.assemble(message, LSN, described)
    return [change for message in messages for change in assembler.assemble(message, LSN)]
