"""Writes many rows at once, column by column, as `row_writer` writes them one by one.

A row costs most in what Python does between two values. Here a column of some hundred rows is taken
at once where its values are of the usual form, and all rows are put together from their columns
without a loop of ours. It gives the bytes of `row_writer`, or nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

from pglogical_cdc.formatters.wire.row_writer import Member, compiled, key_indexes
from pglogical_cdc.formatters.wire.usual_form import PartlyUsual, WriteColumn

__all__ = ("ColumnWriter", "column_writer")

_Column: TypeAlias = "Sequence[str | None]"
"""The texts of a column; None for NULL."""

_ToJson: TypeAlias = Callable[[_Column, bool], Sequence[str]]
"""From the texts of a column, and whether there is a NULL, to the JSON of each."""


class ColumnWriter:
    """Writes rows, and the keys of them.

    Args:
        members: the columns that are written, in their order.
        key: those of the key, in their order.
        indexes: where `members` has those.
        end: what stands after the last value of row and key.
    """

    def __init__(
        self, members: Sequence[Member], key: Sequence[Member], indexes: Sequence[int], end: str
    ) -> None:
        self._row = [(member.name, member.position, _to_json(member)) for member in members]
        self._key = [(part.name, part.position, i) for part, i in zip(key, indexes, strict=True)]
        self._end = end

    def write(
        self, columns: Sequence[_Column], with_null: Collection[int], head: str, tail: str
    ) -> tuple[list[bytes], list[bytes]] | None:
        """Return all of some rows, and their keys.

        Args:
            columns: the values of each column of the table.
            with_null: which of them have a NULL.
            head: what stands before each row.
            tail: what stands behind it.

        Returns:
            None if one of the rows has to be looked at by itself.
        """
        if any(position in with_null for _, position, _ in self._key):
            return None
        try:
            values = [
                (name, write(columns[position], position in with_null))
                for name, position, write in self._row
            ]
        except _LookAtEachError:
            return None
        key = [(name, values[i][1]) for name, _, i in self._key]
        return _joined(head, values, self._end + tail), _joined("", key, self._end)


class _LookAtEachError(Exception):
    """A value needs what the plain way does with a row."""


def _joined(head: str, members: Sequence[tuple[str, Sequence[str]]], tail: str) -> list[bytes]:
    """Return the texts of all rows, made of their columns."""
    count = len(members[0][1])
    pieces: list[Iterable[str]] = [repeat(head, count)]
    for name, values in members:
        pieces += (repeat(name, count), values)
    rows = zip(*pieces, repeat(tail, count), strict=True)
    return list(map(str.encode, map("".join, rows)))


def column_writer(
    members: Sequence[Member], key: Sequence[Member], *, end: str
) -> ColumnWriter | None:
    """Return what writes rows and keys as `compile_event` does.

    Args:
        members: the columns that are written, in their order.
        key: those of the key, in their order; at least one.
        end: what stands after the last value of row and key.

    Returns:
        None if a value of the key is written otherwise than that of the row.
    """
    indexes = key_indexes(members, key)
    return None if indexes is None else ColumnWriter(members, key, indexes, end)


def _to_json(member: Member) -> _ToJson:
    """Return what makes the JSON of each value of a column."""
    singly = _singly(member)
    usual = None if member.form is None else member.form.column
    return singly if usual is None else functools.partial(_written, usual, singly, member.null)


def _written(
    usual: WriteColumn, singly: _ToJson, null: str, column: _Column, has_null: bool
) -> Sequence[str]:
    present = [text for text in column if text is not None] if has_null else column
    made = _tried(usual, present)  # type: ignore[arg-type]  # no NULL is left
    if made is None:
        made = singly(present, False)
    elif isinstance(made, PartlyUsual):
        odd = [text for text, json in zip(present, made, strict=True) if json is None]
        made = _filled(made, singly(odd, False))
    if not has_null:
        return made
    rest = iter(made)
    return [null if text is None else next(rest) for text in column]


def _filled(made: PartlyUsual, odd: Sequence[str]) -> list[str]:
    rest = iter(odd)
    return [next(rest) if json is None else json for json in made]


def _tried(usual: WriteColumn, column: Sequence[str]) -> Sequence[str] | PartlyUsual | None:
    try:
        return usual(column)
    except (ValueError, LookupError):
        return None


def _singly(member: Member) -> _ToJson:
    """Return what asks for each value by itself, as a row does."""
    value = member.call
    if member.form is not None:
        json = f"({member.form.json})"
        value = json if member.form.test is None else f"{json} if {member.form.test} else {value}"
    source = [
        "def write(column):",
        "  made = []",
        "  for text in column:",
        "    if text is None:",
        "      made.append(null)",
        "      continue",
        "    v = text.encode()",
        f"    made.append({value})".replace("#", "0"),
        "  return made",
        "",
    ]
    names = {name: (each,) for name, each in member.names.items()}
    write: Callable[[_Column], Sequence[str]] = compiled(
        "\n".join(source), {"null": member.null, **names}
    )

    def written(column: _Column, has_null: bool) -> Sequence[str]:
        try:
            return write(column)
        except Exception as error:
            # As where a row is written: the plain way knows what to do.
            raise _LookAtEachError from error

    return written
