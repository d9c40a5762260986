"""The page of Debezium's quirks: how it is made.

``python -m tests.quirks.page`` writes it anew, from a server of version 18.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pglogical_cdc import Change, DebeziumFormatter
from tests.quirks.cases import BENT, IN_SNAPSHOTS, STOPPING, Quirk
from tests.reading import make_slot, read
from tests.servers import Database, new_database, run_server

__all__ = ("PAGE", "changes_of", "lines_of", "sections_of_page")

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "debezium_quirks.md"
_SHORT: Final = 60

_HEAD: Final = """\
# Debezium's quirks

By default `DebeziumFormatter` writes what Debezium 3.6.3 writes, byte for byte, also where that is
not what was in the row. `faithful=True` writes the true value, keeps NULL, and leaves out what the
server did not send. Where Debezium stops, a record comes all the same.

The examples are made by `python -m tests.quirks.page`; the tests check them on live servers, and
`pytest --conformance` checks beside the real connector that what is said to be its output is.
"""

_SECTIONS: Final = (
    (
        "What stops Debezium",
        "After such an input the connector delivers nothing more, and after a restart it meets it "
        "again.",
        STOPPING,
    ),
    (
        "What Debezium loses or bends",
        "By default these records are the connector's, byte for byte.",
        BENT,
    ),
    (
        "What Debezium's snapshots have otherwise",
        "Debezium reads a snapshot through JDBC, which shows in dates and names. By default these "
        "records are the connector's too, byte for byte; with `faithful` a row is what it is in "
        "the stream.",
        IN_SNAPSHOTS,
    ),
)

_FOOT: Final = """
## What is not the same

Where the records of Debezium cannot be had, or have nothing that a consumer could use:

- **Identities of Java objects.** Beside the arrays of arrays of text above: with transaction
  metadata the data collections of an END record name each logical decoding message by one. Here it
  is the topic of messages, once for each message; `faithful=True` counts them in one entry.
- **The key of a table that is gone** before its rows are read: see above.
- **A truncated surrogate pair.** Debezium counts UTF-16 units and may leave half a character, which
  is no text in UTF-8. Here such a character is left out as a whole.
- **Digits of floating point numbers** are those of Java 17. From Java 19 on some numbers have a
  digit less (JDK-4511638); both are the same number.
- **Transactions without changes.** PostgreSQL 14 sends them, and Debezium marks them with BEGIN and
  END; here what has no change is nothing.
- **A hash of a column whose type is propagated.** Debezium applies one of its options to a column:
  truncation, else a mask, else `column.propagate.source.type`, else a hash; what was to be hashed
  then stands there in the clear. Here all transforms are applied, one after the other.
- **Labels that an enum is given later.** Debezium knows them after a restart; here they are in the
  next schema.
- **Topics of `route_by_field`** that Kafka does not allow. Debezium fails to send them; here they
  have `_` for such characters.
- **What a snapshot reads**: what the publications publish, see [snapshots](../guide/snapshots.md).
- **The key of a snapshot's row whose key columns are left out** by `column.exclude.list` or
  `column.include.list`: Debezium does not read them, and all rows have one key, of zeros or
  defaults. Here it is the row's, as in the stream.
- **The transaction ID of a snapshot.** Debezium's is that of a transaction of its own; here it is
  the one below which the snapshot sees all.
- **The connector's clock**: `ts_ms`, `ts_us` and `ts_ns` of the envelope. Those of `source` are the
  server's, but for messages outside transactions before the first commit, which have no time.

What else is worth knowing:

- `replace_null_with_default=False` leaves `source.snapshot` null in the stream, as the converter's
  option does there.
- With `column_propagate_source_type` a snapshot's schemas name types as the JDBC driver does:
  `SERIAL`, and types of other schemas than `public` with theirs; a `numeric` without precision has
  length 0 and no scale. `faithful=True` names them as in the stream.
- `include.schema.comments` has no effect on streamed records, and is no option here.
- `schema.refresh.mode` is none either: a change of a table is seen where it happened. Nor are
  `xmin.fetch.interval.ms` (`source.xmin` is null) and `message.prefix.include.list` and
  `exclude.list` (a transform of one line).
- `replace_null_with_default` and `decimal_format` stand for the converters' options of keys and
  values at once, the latter for that of headers as well. Where it is not the converter that writes
  a row, defaults stand for NULL in any case: in the header `__debezium.newkey`, and in rows that
  `ExtractNewRecordState` copies to add `__deleted` or to drop fields.
- In a database of encoding `SQL_ASCII`, bytes that are no UTF-8 become U+FFFD, in keys too: rows
  whose keys differ in nothing else have one key.
- Where adjusted names of two columns are the same Debezium stops; here the second has `_2` behind
  it. A column that is called like an added field of `ExtractNewRecordState`, where Debezium stops
  too, is a `ConfigurationError`.
- With `skip_messages_without_change` a change of nothing but columns that are left out is skipped,
  also if they are the key, and what was not sent of the old row counts as NULL; `faithful=True`
  tells such changes.
- Patterns of names ignore the case of ASCII letters alone, as Java's do; `(?u)` before one makes it
  ignore that of all. A mask of `Ä` is none of `ä`.
- A row without a single column is skipped; `faithful=True` writes `{}`.
- The topic of messages has a dot before `message`, whatever `topic_delimiter` is.
- `ExtractChangedRecordState` counts a bit string as changed in every update.
- Truncation cuts whatever is written as a string, the JSON of an `hstore` and a `timestamptz` too;
  with `faithful=True` text and bytes alone.
- `message_key_columns` outside the replica identity: the server does not send them of a deleted
  row. By default they are null or zero in that key, `faithful=True` leaves them out.
- A mask stands for NULL as well. Masks, hashes and truncation are also applied to the placeholder
  of an unchanged value, but with `faithful=True`.
"""


def changes_of(database: Database, slot: str, quirk: Quirk) -> list[Change]:
    """Run a quirk's SQL, return its changes, and drop what it has made.

    Args:
        database: with the extension hstore, the publication ``pub``, and the slot.
        slot: name of the slot.
        quirk: the quirk.
    """
    database.execute(quirk.ddl)
    for statement in quirk.sql.split(";"):
        database.execute(statement)
    if quirk.afterwards:
        database.execute(quirk.afterwards)
    try:
        streamed = read(database, slot)
        if not quirk.snapshot:
            return streamed
        options = {"create": True, "snapshot": "initial_only"}
        read_first = read(database, f"{slot}_rows", **options)
        return [change for change in read_first if change.table == "p"]
    finally:
        database.execute("DROP TABLE IF EXISTS p; DROP TYPE IF EXISTS mood CASCADE")


def lines_of(quirk: Quirk, changes: Sequence[Change], *, faithful: bool = False) -> list[str]:
    """Return the last records that a formatter makes of the changes, as the page shows them."""
    formatter = DebeziumFormatter(topic_prefix="dbz", faithful=faithful, **quirk.options)
    records = [record for change in changes for record in formatter.format(change)]
    shown = [
        (record.key, record.value)
        for record in records
        if record.value is not None or quirk.shown > 1
    ]
    return [_line(key, value) for key, value in shown[-quirk.shown :]]


def _line(key: bytes | None, value: bytes | None) -> str:
    shown_key = "null" if key is None else _compact(json.loads(key))
    if value is None:
        return f"{shown_key}: tombstone"
    payload = json.loads(value)
    row = {image: payload[image] for image in ("before", "after") if payload[image] is not None}
    return f"{shown_key}: {_compact(row)}"


def _compact(content: Any) -> str:
    return json.dumps(_shortened(content), ensure_ascii=False, separators=(",", ":"))


def _shortened(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _shortened(value) for name, value in content.items()}
    if isinstance(content, list):
        items = [_shortened(item) for item in content]
        return items if len(items) <= _SHORT else [*items[:3], "…"]
    if isinstance(content, str) and len(content) > _SHORT:
        return content[:20] + "…"
    return content


def _section(quirk: Quirk, default: Sequence[str], faithful: Sequence[str]) -> str:
    statements = f"{quirk.ddl}; {quirk.sql}; {quirk.afterwards}".rstrip("; ")
    code = re.sub(r"; *", ";\n", statements)
    options = ", ".join(f"`{name}={value!r}`" for name, value in quirk.options.items())
    given = f"With {options}:\n\n" if options else ""
    blocks = (
        f"By default:\n\n```text\n{_joined(default)}\n```\n\n"
        f"With `faithful=True`:\n\n```text\n{_joined(faithful)}\n```"
        if default != faithful
        else f"With and without `faithful=True`:\n\n```text\n{_joined(default)}\n```"
    )
    return f"\n### {quirk.name}\n\n{quirk.text}\n\n```sql\n{code};\n```\n\n{given}{blocks}\n"


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _page(sections: Sequence[tuple[str, str, Sequence[str]]], foot: str) -> str:
    parts = [f"\n## {title}\n\n{text}\n" + "".join(cases) for title, text, cases in sections]
    return _HEAD + "".join(parts) + foot


def sections_of_page() -> dict[str, tuple[list[str], list[str]]]:
    """Read, by the name of each quirk, what the page shows by default and of `faithful`."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        name = section.splitlines()[0]
        blocks = re.findall(r"```text\n(.*?)\n```", section, re.DOTALL)
        if blocks:
            found[name] = blocks[0].splitlines(), blocks[-1].splitlines()
    return found


def main() -> None:
    """Write the page."""
    with run_server("18") as server, new_database(server) as database:
        slot = f"quirks_{uuid.uuid4().hex[:12]}"
        make_slot(database, slot, "CREATE EXTENSION hstore")
        sections = [
            (title, text, [_made(database, slot, quirk) for quirk in quirks])
            for title, text, quirks in _SECTIONS
        ]
    PAGE.write_text(_page(sections, _FOOT), encoding="utf-8")
    count = sum(len(quirks) for _, _, quirks in _SECTIONS)
    sys.stdout.write(f"{count} quirks written to {PAGE}\n")


def _made(database: Database, slot: str, quirk: Quirk) -> str:
    changes = changes_of(database, slot, quirk)
    return _section(quirk, lines_of(quirk, changes), lines_of(quirk, changes, faithful=True))


if __name__ == "__main__":
    main()
