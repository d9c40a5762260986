r"""SQL scripts as psql runs them: statement by statement, with ``\if`` and the data of COPY.

A workload is cut into parts at its lines ``-- @sync NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

__all__ = ("Statement", "parts_of", "resolve_conditions", "run_script", "statements_of")


@dataclass(frozen=True)
class Statement:
    """One SQL statement."""

    text: str
    copy_data: str | None = None
    """Of COPY ... FROM STDIN, what follows it in the script."""


_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | [eE]'(?:[^'\\]|\\.|'')*'
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
      | [^\W\d][\w$]*
      | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_COPY: Final = re.compile(r"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_END_OF_COPY: Final = re.compile(r"^\\\.\r?$", re.MULTILINE)


def resolve_conditions(script: str, variables: Mapping[str, bool]) -> str:
    r"""Keep what the lines ``\if :name``, ``\else`` and ``\endif`` say."""
    kept: list[str] = []
    active = [True]
    for line in script.splitlines(keepends=True):
        words = line.split()
        if words[:1] == ["\\if"]:
            active.append(variables[words[1].removeprefix(":")])
        elif words[:1] == ["\\else"]:
            active[-1] = not active[-1]
        elif words[:1] == ["\\endif"]:
            active.pop()
        elif all(active):
            kept.append(line)
    return "".join(kept)


def parts_of(script: str) -> list[tuple[str, str]]:
    """Return name and SQL of each part of a workload."""
    pieces = re.split(r"^-- @sync (\S+)[^\n]*\n?", script, flags=re.MULTILINE)
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def statements_of(script: str) -> Iterator[Statement]:
    """Give the statements of a script."""
    position, start, depth = 0, -1, 0
    while position < len(script):
        match = _TOKEN.match(script, position)
        assert match is not None, "the last alternative takes anything"
        position = match.end()
        if match["skip"] is not None:
            continue
        start = match.start() if start < 0 else start
        depth += {"(": 1, ")": -1}.get(match["other"] or "", 0)
        if match["other"] != ";" or depth > 0:
            continue
        text, start, depth = script[start : match.start()], -1, 0
        if not _COPY.match(text):
            if text:
                yield Statement(text)
            continue
        data_start = script.index("\n", position) + 1
        end = _END_OF_COPY.search(script, data_start)
        assert end is not None, "COPY FROM STDIN without its end"
        yield Statement(text, script[data_start : end.start()])
        position = end.end()
    if start >= 0:
        yield Statement(script[start:].rstrip())


def run_script(dsn: str, script: str) -> list[str]:
    """Run a script in a session of its own; return the errors, which end a statement only."""
    errors = []
    with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC") as connection:
        for statement in statements_of(script):
            try:
                _run(connection, statement)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                errors.append(f"{str(error).splitlines()[0]} -- in: {statement.text[:100]}")
    return errors


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    text = statement.text.encode()
    if statement.copy_data is None:
        connection.execute(text)
    else:
        with connection.cursor().copy(text) as copy:
            copy.write(statement.copy_data)
