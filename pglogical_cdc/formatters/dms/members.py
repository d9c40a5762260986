"""Members: some columns of a row as members of a JSON object, with a function compiled for them.

As in `wire.row_writer`, the source that is compiled holds positions, numbers and the expressions of
`dms.values`, and no name from a database. Here members can be missing, and then their names are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pglogical_cdc.absent import Absent
from pglogical_cdc.events import RawValue, Relation
from pglogical_cdc.formatters.dms.values import NAMES, Render, usual_form
from pglogical_cdc.formatters.wire.binary_form import binary_form_error
from pglogical_cdc.formatters.wire.row_writer import WriteRow, compiled

__all__ = ("Members", "members_source")


def members_source(
    renders: Sequence[tuple[int, Render]], *, nulls: bool, null_for_absent: bool
) -> str:
    """Return the source of the function for some columns.

    Args:
        renders: position in the row, and what writes the value.
        nulls: whether NULL is written.
        null_for_absent: whether what was not sent is written like NULL.
    """
    absent = "v is NOT_SENT or v is UNCHANGED"
    both = null_for_absent or not nulls
    lines = []
    for i, (position, render) in enumerate(renders):
        value, form = f"render{i}(v)", usual_form(render)
        if form is not None:
            value = form.json if form.test is None else f"({form.json}) if {form.test} else {value}"
        empty = f'      n{i} = v{i} = ""'
        null = f'      n{i}, v{i} = name{i}, "null"' if nulls else empty
        lines += [
            f"    v = raw[{position}]",
            "    if v.__class__ is bytes:",
            f"      v{i} = {value}",
            f"      n{i} = name{i}",
            f"    elif v is None{f' or {absent}' if both else ''}:",
            null,
            *(() if both else (f"    elif {absent}:", empty)),
            "    else:",
            "      raise TypeError",
        ]
    first, *others = [f"{{n{i}}}{{v{i}}}" for i in range(len(renders))] or [""]
    rest = "".join(others)
    if first:
        lines.append(f"    if n0: return f'{{head}}{first}{rest}{{tail}}'.encode()")
    return "\n".join(
        [
            "def write(raw, head, tail):",
            "  try:",
            *lines,
            f"    return begun(head, f'{rest}{{tail}}')",
            "  except Exception:",
            "    return begun(head, plain(raw) + tail)",
            "",
        ]
    )


def _begun(head: str, rest: str) -> bytes:
    # What comes first is separated from nothing.
    return f"{head}{rest[1:] if rest[:1] == ',' else rest}".encode()


class Members:
    """Some columns of a row as the members of a JSON object.

    Args:
        relation: the version of the table.
        columns: position in the row, name as JSON with its colon, and what writes the value.
        nulls: whether NULL is written.
        separator: what stands between members; it begins with a comma.
    """

    def __init__(
        self,
        relation: Relation,
        columns: Sequence[tuple[int, str, Render]],
        *,
        nulls: bool,
        separator: str,
    ) -> None:
        self._relation: Final = relation
        self._columns: Final = columns
        self._nulls: Final = nulls
        self._separator: Final = separator
        self.write: Final = self._compiled(null_for_absent=False)
        """Writes what `of` returns, between two texts.

        Each member has the separator before it, the first of all without its comma. If there is no
        member, the text after them loses the comma that it begins with.
        """
        self.write_deleted: Final = self._compiled(null_for_absent=True)
        """The same, with NULL for what was not sent."""

    def _compiled(self, *, null_for_absent: bool) -> WriteRow:
        def plain(raw: Sequence[RawValue]) -> str:
            found = self.of(raw, null_for_absent=null_for_absent)
            return "".join([self._separator + member for member in found])

        names: dict[str, object] = {**NAMES, "begun": _begun, "plain": plain}
        for i, (_, name, render) in enumerate(self._columns):
            names[f"name{i}"] = f"{self._separator if i else self._separator[1:]}{name}"
            names[f"render{i}"] = render
        renders = [(position, render) for position, _, render in self._columns]
        source = members_source(renders, nulls=self._nulls, null_for_absent=null_for_absent)
        write: WriteRow = compiled(source, names)
        return write

    def of(self, raw: Sequence[RawValue], *, null_for_absent: bool = False) -> list[str]:
        """Return the members that a row has.

        Args:
            raw: the wire values.
            null_for_absent: whether a value that the server did not send is written like NULL.

        Raises:
            ConfigurationError: a value is in binary form.
        """
        members: list[str] = []
        nulls = self._nulls
        for position, name, render in self._columns:
            value = raw[position]
            if type(value) is bytes:
                members.append(name + render(value))
            elif value is None:
                if nulls:
                    members.append(name + "null")
            elif isinstance(value, Absent):
                if nulls and null_for_absent:
                    members.append(name + "null")
            else:
                raise binary_form_error(self._relation)
        return members
