"""Choice: which of the published tables a snapshot reads, and what to say of a name that is none.

As Debezium's ``snapshot.include.collection.list`` has it: regular expressions that match the whole
of ``schema.table``, in either case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.postgres import Conversation
from pglogical_cdc.snapshot.selection import SelectedTable

__all__ = ("choose_tables",)

_MOST_NAMES: Final = 5
"""As many relations are named in a message."""

_NEVER: Final = {
    "v": ("a view", "views"),
    "m": ("a materialized view", "materialized views"),
    "f": ("a foreign table", "foreign tables"),
}
"""By relkind, what PostgreSQL has no changes of: one, and all of them."""

_RELATIONS: Final = """\
SELECT pg_catalog.json_build_array(
  n.nspname || '.' || c.relname, c.relkind, c.relpersistence, c.relispartition
)::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1"""


def choose_tables(
    published: Sequence[SelectedTable], include: NamePatterns | None, exclude: NamePatterns
) -> Conversation[list[SelectedTable]]:
    """Return the tables that are included and not excluded, in the same order.

    Args:
        published: the tables to choose from.
        include: those that are read; None for all.
        exclude: those that are not.

    Raises:
        ConfigurationError: something that is included matches no published table.
    """
    for pattern in () if include is None else include.patterns:
        if not any(pattern.fullmatch(str(table)) for table in published):
            yield from _refuse(pattern)
    return [
        table
        for table in published
        if (include is None or include.match(str(table))) and not exclude.match(str(table))
    ]


def _refuse(pattern: re.Pattern[str]) -> Conversation[None]:
    relations = [json.loads(text) for (text,) in (yield sql.SQL(_RELATIONS))]
    found = [
        f"{name} is {_why_not(kind, persistence, is_partition=is_partition)}"
        for name, kind, persistence, is_partition in relations
        if pattern.fullmatch(name)
    ]
    more = len(found) - _MOST_NAMES
    if more > 0:
        found[_MOST_NAMES:] = [f"and so on for {more} more"]
    raise ConfigurationError(
        f"snapshot_include: {pattern.pattern!r} matches no table of the publications: "
        + ("; ".join(found) or 'nor anything else in the database; names are "schema.table"')
    )


def _why_not(kind: str, persistence: str, *, is_partition: bool) -> str:
    if kind in _NEVER:
        one, all_of_them = _NEVER[kind]
        return f"{one}: {all_of_them} are never published, so a snapshot does not read them"
    if persistence != "p":
        which = "an unlogged" if persistence == "u" else "a temporary"
        return f"{which} table, which is never published, so a snapshot does not read it"
    if is_partition:
        return "a partition that is not published by itself (publish_via_partition_root?)"
    if kind == "p":
        return "a partitioned table that is not published as such: name its partitions"
    return "a table that is not published: add it with ALTER PUBLICATION ... ADD TABLE"
