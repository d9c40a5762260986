"""Compiles the function that writes the rows of one version of a table.

`RowFormat` says plainly what is written, column by column; here that is unrolled into one
expression, which takes half the time. The source that is compiled holds positions and numbers, and
no name from a database: those are in the template, which is data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, TypeAlias

from pglogical_cdc.events import RawValue
from pglogical_cdc.formatters.debezium.column_format import ColumnFormat
from pglogical_cdc.formatters.wire.convert import bool_json

__all__ = ("WriteRow", "compile_row", "row_source")

WriteRow: TypeAlias = Callable[[Sequence[RawValue]], bytes]


def row_source(columns: Sequence[ColumnFormat]) -> str:
    """Return the source of the function for some columns."""
    lines = ["def write(raw):", "    return template % ("]
    for i, column in enumerate(columns):
        if column.convert is None:
            text = "v"
        elif column.convert is bool_json:
            text = 'b"true" if v == b"t" or v == b"1" else b"false"'
        else:
            text = f"convert_{i}(v) or failed_{i}{'(v)' if callable(column.failed) else ''}"
        lines.append(
            f"        ({text}) if (v := raw[{column.position}]).__class__ is bytes"
            f" else null_{i} if v is None else otherwise({i}, v),"
        )
    return "\n".join([*lines, "    )", ""])


@functools.lru_cache(maxsize=256)
def _code(source: str) -> CodeType:
    # Tables of the same types share it.
    return compile(source, "<row writer>", "exec")


def compile_row(
    template: bytes,
    columns: Sequence[ColumnFormat],
    otherwise: Callable[[int, RawValue], bytes | None],
) -> WriteRow:
    """Return the function that writes a row, given its wire values.

    It raises whatever a converter raises, and `TypeError` where a member is to be left out.

    Args:
        template: the JSON object with ``%b`` for each column's value.
        columns: those that are written, in their order.
        otherwise: what to write for the column of an index whose value is neither text nor NULL.
    """
    names: dict[str, Any] = {"template": template, "otherwise": otherwise}
    for i, column in enumerate(columns):
        names[f"convert_{i}"] = column.convert
        names[f"null_{i}"] = column.null
        names[f"failed_{i}"] = column.failed
    exec(_code(row_source(columns)), names)
    write: WriteRow = names["write"]
    return write
