"""How the demo prints: coloured on a terminal, one line for each JSON document in a pipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import BinaryIO, Final, Protocol

from rich.console import Console
from rich.highlighter import JSONHighlighter, ReprHighlighter
from rich.text import Text

from pglogical_cdc.cli.demo_workload import Step
from pglogical_cdc.cli.event_text import event_text, printable, shortened
from pglogical_cdc.errors import SinkError
from pglogical_cdc.events import Change
from pglogical_cdc.formatters import Record

__all__ = ("Display", "PlainDisplay", "TerminalDisplay")

_LONGEST: Final = 60
"""Characters of a string; a terminal does not get more."""

_STYLES: Final = {"event": "bold cyan", "debezium": "bold green", "dms": "bold magenta"}


class Display(Protocol):
    """Shows what the demo has to show, in order."""

    def note(self, text: str) -> None:
        """Show a line about the demo itself."""
        ...

    def step(self, step: Step) -> None:
        """Show what is done to the database."""
        ...

    def event(self, change: Change) -> None:
        """Show a change as the library's typed event."""
        ...

    def records(self, name: str, records: Sequence[Record]) -> None:
        """Show a change as one format's records, ``debezium`` or ``dms``."""
        ...


class PlainDisplay:
    """Lines of UTF-8: every JSON document is whole, and on a line of its own.

    All methods raise `SinkError` if the stream does not take what they write.

    Args:
        stream: where to write.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Write a line."""
        self._line(text)

    def step(self, step: Step) -> None:
        """Write the title and the statements."""
        self._line("")
        self._line(f"== {step.title}")
        for statement in step.statements:
            self._line(f"sql       {statement}")

    def event(self, change: Change) -> None:
        """Write the event on one line."""
        self._line("")
        self._line(f"event     {event_text(change)}")

    def records(self, name: str, records: Sequence[Record]) -> None:
        """Write topic, key and value of each record, a line each."""
        for label, content in _lines(name, records):
            self._line(f"{name:<9} {label}{content}")

    def _line(self, text: str) -> None:
        try:
            self._stream.write(text.encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise SinkError(f"cannot write the output: {error.strerror}") from error


class TerminalDisplay:
    """Colours, a line for each member of a JSON object, long strings cut.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._json = JSONHighlighter()
        self._repr = ReprHighlighter()

    def note(self, text: str) -> None:
        """Print a line."""
        self._print(Text(text))

    def step(self, step: Step) -> None:
        """Print the title as a rule, and the statements."""
        self._console.print()
        self._console.rule(Text(step.title, style="bold"), align="left")
        for statement in step.statements:
            self._print(Text(statement, style="dim"))

    def event(self, change: Change) -> None:
        """Print the event."""
        self._console.print()
        self._print(_label("event"), self._repr(Text(event_text(change, _LONGEST))))

    def records(self, name: str, records: Sequence[Record]) -> None:
        """Print topic, key and value of each record."""
        for label, content in _lines(name, records):
            self._print(_label(name), Text(label), self._json(Text(_unfolded(content))))

    def _print(self, *parts: Text) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=True)


def _label(name: str) -> Text:
    return Text(f"{name:<10}", style=_STYLES[name])


def _lines(name: str, records: Sequence[Record]) -> list[tuple[str, str]]:
    if not records:
        sender = {"debezium": "Debezium", "dms": "DMS"}[name]
        return [("", f"{sender} sends nothing")]
    lines: list[tuple[str, str]] = []
    for each in records:
        value = "null (tombstone)" if each.value is None else _text(each.value)
        key = "none" if each.key is None else _text(each.key)
        lines += [("topic ", each.topic), ("key   ", key), ("value ", value)]
    return lines


def _text(content: bytes) -> str:
    return printable(content.decode("utf-8", "backslashreplace"))


def _unfolded(content: str) -> str:
    """Put each member of a JSON object on a line of its own; other text stays as it is."""
    if not content.startswith("{"):
        return content
    members = [
        f"    {_json(name)}: {_json(shortened(value, _LONGEST))}"
        for name, value in json.loads(content, parse_int=_Number, parse_float=_Number).items()
    ]
    return "{\n" + ",\n".join(members) + "\n}" if len(members) > 1 else content


class _Number(str):
    """A JSON number, digit for digit."""

    __slots__ = ()


def _json(value: object) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(k)}: {_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
