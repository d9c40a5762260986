"""Compiles the function that writes the rows of one version of a table.

The formats say plainly what is written, column by column; here that is unrolled into one function
without calls for values of the usual form. The source that is compiled holds positions, numbers and
the expressions of `usual_form`, and no name from a database: those are data.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.events import RawValue
from pglogical_cdc.formatters.wire.usual_form import NAMES, UsualForm

__all__ = (
    "Member",
    "Frame",
    "WriteEvent",
    "WriteRow",
    "compile_event",
    "compile_row",
    "compiled",
    "event_source",
    "key_indexes",
    "row_source",
)

WriteRow: TypeAlias = Callable[[Sequence[RawValue], str, str], bytes]
"""From wire values, and what stands before and after the row, to all of it."""

WriteEvent: TypeAlias = Callable[..., tuple[bytes, bytes]]
"""From wire values and the parameters of a `Frame` to all of an event, and its key."""


@record
class Member:
    """How a column is written as a member of a JSON object."""

    position: int
    """Index in ``relation.columns``."""
    name: str
    """JSON of the name, and all that stands between it and the values beside it."""
    form: UsualForm | None
    call: str
    """Expression for values of no usual form; ``#`` in it is the index of the member."""
    names: Mapping[str, object]
    """What `call` needs, by names that all members of a row have; in it each is a sequence, which
    has that of the member under its index: ``convert[#](v)``."""
    null: str
    """What stands for NULL."""
    not_sent: str | None
    """What stands for `NOT_SENT`; None: that is asked for."""


class Frame(NamedTuple):
    """What is around the row of an event: fields of an f-string that take the parameters."""

    parameters: str
    head: str
    tail: str


def row_source(members: Sequence[Member]) -> str:
    """Return the source of the function for some members."""
    text = f"f'{{head}}{_pieces(members)}{{end}}{{tail}}'"
    return "\n".join(
        [
            "def write(raw, head, tail):",
            "  try:",
            *_unpacked("name", len(members)),
            *_values(members),
            f"    return {text}.encode()",
            "  except Exception:",
            "    return head.encode() + plain(raw) + tail.encode()",
            "",
        ]
    )


def event_source(members: Sequence[Member], key: Sequence[int], frame: Frame) -> str:
    """Return the source of the function for the members of an event's row.

    Args:
        members: the columns that are written, in their order.
        key: indexes of those that make the key.
        frame: what is around the row.
    """
    named = "".join(f"{{key_name{j}}}{{v{i}}}" for j, i in enumerate(key))
    sent = " and ".join(f"raw[{members[i].position}].__class__ is bytes" for i in key)
    text = f"f'{frame.head}{_pieces(members)}{{end}}{frame.tail}'"
    plainly = f"f'{frame.head}'.encode() + plain(raw) + f'{frame.tail}'.encode()"
    return "\n".join(
        [
            f"def write(raw, {frame.parameters}):",
            "  try:",
            *_unpacked("name", len(members)),
            *_unpacked("key_name", len(key)),
            *_values(members),
            f"    key = f'{named}{{end}}'.encode() if {sent} else plain_key(raw)",
            f"    return {text}.encode(), key",
            "  except Exception:",
            f"    return {plainly}, plain_key(raw)",
            "",
        ]
    )


def _unpacked(name: str, count: int) -> list[str]:
    """Return the line that makes variables of so many names."""
    return [f"    {''.join(f'{name}{i}, ' for i in range(count))}= {name}s"] if count else []


def _values(members: Sequence[Member]) -> list[str]:
    """Return the lines that make the JSON of each value."""
    lines = []
    for i, member in enumerate(members):
        value = member.call
        if member.form is not None:
            test = member.form.test
            json = f"({member.form.json})"
            value = json if test is None else f"{json} if {test} else {value}"
        line = (
            f"    v# = ({value}) if v.__class__ is bytes"
            " else null[#] if v is None"
            f"{'' if member.not_sent is None else ' else not_sent[#] if v is NOT_SENT'}"
            " else other(#, v)"
        )
        lines += [f"    v = raw[{member.position}]", line.replace("#", str(i))]
    return lines


def _pieces(members: Sequence[Member]) -> str:
    return "".join(f"{{name{i}}}{{v{i}}}" for i in range(len(members)))


@functools.lru_cache(maxsize=256)
def _maker(source: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """Return what makes the function of its names; tables of the same types share it.

    They are its variables and not its globals: CPython remembers where it found a global, in the
    code and for one dictionary, which another table would make it forget at every row. And they are
    few: of many tables none is in the caches of the processor when its row comes, and a variable is
    touched at each call, whether it is used or not.
    """
    made = f"def make({', '.join(names)}):\n{textwrap.indent(source, '  ')}  return write\n"
    found: dict[str, Any] = {**NAMES, "NOT_SENT": NOT_SENT, "UNCHANGED": UNCHANGED}
    exec(compile(made, "<row writer>", "exec"), found)
    make: Callable[..., Any] = found["make"]
    return make


def compile_row(
    members: Sequence[Member],
    *,
    end: str,
    other: Callable[[int, RawValue], str],
    plain: Callable[[Sequence[RawValue]], bytes],
) -> WriteRow:
    """Return the function that writes a row.

    Args:
        members: the columns that are written, in their order.
        end: what stands after the last value.
        other: what to write for the member of an index whose value is neither text nor NULL.
        plain: what to ask for a row that raises any exception.
    """
    names = {"end": end, "other": other, "plain": plain}
    write: WriteRow = _with_members(row_source(members), members, names)
    return write


def compile_event(
    members: Sequence[Member],
    key: Sequence[Member],
    frame: Frame,
    *,
    end: str,
    other: Callable[[int, RawValue], str],
    plain: Callable[[Sequence[RawValue]], bytes],
    plain_key: Callable[[Sequence[RawValue]], bytes],
) -> WriteEvent | None:
    """Return the function that writes an event and its key, whose values are those of the row.

    Args:
        members: the columns that are written, in their order.
        key: those of the key, in their order; at least one.
        frame: what is around the row.
        end: what stands after the last value of row and key.
        other: see `compile_row`.
        plain: see `compile_row`.
        plain_key: what to ask for the key where that cannot be.

    Returns:
        None if a value of the key is written otherwise than that of the row.
    """
    indexes = key_indexes(members, key)
    if indexes is None:
        return None
    names = {"end": end, "other": other, "plain": plain, "plain_key": plain_key}
    names["key_names"] = _shared(tuple([part.name for part in key]))
    source = event_source(members, indexes, frame)
    write: WriteEvent = _with_members(source, members, names)
    return write


def key_indexes(members: Sequence[Member], key: Sequence[Member]) -> list[int] | None:
    """Return where the columns of a key are among those of the row.

    None if a value of the key is written otherwise than that of the row.
    """
    same = [[i for i, member in enumerate(members) if _writes_alike(member, part)] for part in key]
    return [found[0] for found in same] if all(same) else None


def _writes_alike(one: Member, other: Member) -> bool:
    """Tell whether two members of one table write a text alike.

    What has the usual form of its type is not altered on its way, and then its type says it all.
    """
    return (
        one.position == other.position
        and one.form is not None
        and one.form == other.form
        and one.null == other.null
    )


def _with_members(source: str, members: Sequence[Member], given: Mapping[str, object]) -> Any:
    names = {
        **given,
        "names": _shared(tuple([member.name for member in members])),
        "null": _shared(tuple([member.null for member in members])),
        "not_sent": _shared(tuple([member.not_sent for member in members])),
    }
    for name in members[0].names if members else ():
        names[name] = _shared(tuple([member.names[name] for member in members]))
    return compiled(source, names)


@functools.lru_cache(maxsize=1024)
def _shared(values: tuple[object, ...]) -> tuple[object, ...]:
    """Return the same tuple for tables that have equal columns, as partitions do."""
    return values


def compiled(source: str, names: Mapping[str, object]) -> Any:
    """Return the function ``write`` of a source, which may use names beside `usual_form.NAMES`."""
    return _maker(source, tuple(names))(*names.values())
