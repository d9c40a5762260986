"""Compiles the function that writes the rows of one version of a table.

The formats say plainly what is written, column by column; here that is unrolled into one function
without calls for values of the usual form. The source that is compiled holds positions, numbers and
the expressions of `usual_form`, and no name from a database: those are data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, TypeAlias

from pglogical_cdc._attrs import record
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import RawValue
from pglogical_cdc.formatters.wire.usual_form import NAMES, UsualForm

__all__ = ("Member", "WriteRow", "compile_row", "row_source")

WriteRow: TypeAlias = Callable[[Sequence[RawValue], str, str], bytes]
"""From wire values, and what stands before and after the row, to all of it."""


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
    """What `call` needs; ``#`` in a name is the index of the member."""
    null: str
    """What stands for NULL."""
    not_sent: str | None
    """What stands for `NOT_SENT`; None: that is asked for."""


def row_source(members: Sequence[Member], *, omits: bool) -> str:
    """Return the source of the function for some members."""
    lines = []
    for i, member in enumerate(members):
        value = member.call
        if member.form is not None:
            test = member.form.test
            json = f"({member.form.json})"
            value = json if test is None else f"{json} if {test} else {value}"
        lines += [
            f"    v = raw[{member.position}]",
            f"    v# = {'name# + ' if omits else ''}({value}) if v.__class__ is bytes"
            " else null# if v is None"
            f"{'' if member.not_sent is None else ' else not_sent# if v is NOT_SENT'}"
            " else other(#, v)",
        ]
        lines[-1] = lines[-1].replace("#", str(i))
    pieces = [f"{{v{i}}}" if omits else f"{{name{i}}}{{v{i}}}" for i in range(len(members))]
    text = f"f'{{head}}{''.join(pieces)}{{end}}{{tail}}'"
    return "\n".join(
        [
            "def write(raw, head, tail):",
            "  try:",
            *lines,
            f"    return {text}.encode()",
            "  except Exception:",
            "    return head.encode() + plain(raw) + tail.encode()",
            "",
        ]
    )


@functools.lru_cache(maxsize=256)
def _code(source: str) -> CodeType:
    # Tables of the same types share it.
    return compile(source, "<row writer>", "exec")


def compile_row(
    members: Sequence[Member],
    *,
    end: str,
    other: Callable[[int, RawValue], str],
    plain: Callable[[Sequence[RawValue]], bytes],
    omits: bool = False,
) -> WriteRow:
    """Return the function that writes a row.

    Args:
        members: the columns that are written, in their order.
        end: what stands after the last value.
        other: what to write for the member of an index whose value is neither text nor NULL.
        plain: what to ask for a row that raises any exception.
        omits: whether members can be left out: what stands for a value stands for the name, too.
    """
    names: dict[str, Any] = {
        **NAMES,
        "NOT_SENT": NOT_SENT,
        "end": end,
        "other": other,
        "plain": plain,
    }
    for i, member in enumerate(members):
        own = {
            "name#": member.name,
            "null#": member.null,
            "not_sent#": member.not_sent,
            **member.names,
        }
        names.update((name.replace("#", str(i)), value) for name, value in own.items())
    exec(_code(row_source(members, omits=omits)), names)
    write: WriteRow = names["write"]
    return write
