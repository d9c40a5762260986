"""The page that lists the types which come as bytes in binary: how it is made.

``python -m tests.postgres.binary_types`` writes it anew, from two servers: one of the two has XML,
the other pgvector.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.postgres.type_tables import inserted, make_type_tables, same
from tests.servers import new_database, run_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.postgres.type_tables import Rows
    from tests.servers import Database

__all__ = ("PAGE", "binary_types", "rows_of_page")

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "binary_types.md"

_HEAD: Final = """\
# Types that come as bytes in binary

With `binary=True` the server sends values in the binary form of their types. Python values are the
same as in text, but for the types below, for which psycopg has no binary loader: these come as
`bytes`, exactly as the server sent them. The same holds for them inside an array, a range or a
composite type, and for a domain over them.

This table is made by `python -m tests.postgres.binary_types`; the tests check it on live servers.

"""

_FOOT: Final = """
Every other type of an extension that psycopg does not know is `str` in text and `bytes` in binary
too; so is `hstore` with a psycopg before 3.3, a `dict` in text.

A few types have no binary form at all (`isbn` and its kin of the extension isn, `aclitem`): the
server cannot send a table that has such a column in binary.
"""


def _python_type(value: object) -> str:
    if isinstance(value, list):
        inside = {_python_type(item) for item in value if item is not None}
        return f"list[{' | '.join(sorted(inside))}]" if inside else ""
    return type(value).__name__


def binary_types(database: Database, text: Rows, binary: Rows) -> dict[str, tuple[str, str]]:
    """Give the types whose values differ: by name, the Python type in text and in binary.

    Types that the tests have made themselves are left out.
    """
    names: dict[str, str] = {}
    for table, column, name in database.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE c.relname LIKE 'types_%' AND a.attnum > 0 AND c.relname <> 'types_made'"
        " AND t.typtype = 'b'"
    ):
        names[f"{table}.{column}"] = str(name)
    found: dict[str, tuple[str, str]] = {}
    for (table, row_id), row in binary.items():
        for column, value in row.items():
            in_text = text[table, row_id][column]
            name_ = names.get(f"{table}.{column}")
            if name_ is not None and not same(in_text, value):
                kinds = _python_type(in_text), _python_type(value)
                if "" not in kinds:
                    found[name_] = kinds
    return found


def _page(types: Mapping[str, tuple[str, str]]) -> str:
    rows = (
        f"| `{name}` | `{in_text}` | `{in_binary}` |\n"
        for name, (in_text, in_binary) in sorted(types.items())
    )
    return _HEAD + "| type | in text | in binary |\n| --- | --- | --- |\n" + "".join(rows) + _FOOT


def rows_of_page() -> dict[str, tuple[str, str]]:
    """Read the table of the page as it is."""
    types: dict[str, tuple[str, str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            name, in_text, in_binary = (cell.strip(" `") for cell in line[1:-1].split("|"))
            types[name] = in_text, in_binary
    return types


def main() -> None:
    """Write the page."""
    types: dict[str, tuple[str, str]] = {}
    for choice in ("18", "embedded"):
        with run_server(choice) as server, new_database(server) as database:
            make_type_tables(database)
            types |= binary_types(database, *inserted(database))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(_page(types))
    sys.stdout.write(f"{len(types)} types written to {PAGE}\n")


if __name__ == "__main__":
    main()
