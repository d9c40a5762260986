"""The page that shows DMS, Debezium and this library side by side: how it is made.

``python -m tests.side_by_side.page`` writes its records anew, from the recorded run of
`tests.golden`; what stands above them is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pglogical_cdc import (
    BeforeImage,
    Change,
    DebeziumFormatter,
    DmsFormatter,
    Formatter,
    Insert,
    Record,
    Tombstones,
    UnwrappedFormatter,
)
from pglogical_cdc._attrs import record
from pglogical_cdc.events import RowChange
from tests.golden.replay import replay_changes

__all__ = ("PAGE", "Case", "cases", "page", "records_of_debezium")

PAGE: Final = Path(__file__).parents[2] / "docs" / "guide" / "side_by_side.md"

_MARK: Final = "<!-- From here on made by `python -m tests.side_by_side.page`. -->\n"


@record
class Case:
    """Some changes of the recorded run."""

    title: str
    sql: str
    text: str
    changes: tuple[Change, ...]


def _run() -> Iterable[RowChange]:
    return (change for change in replay_changes() if isinstance(change, RowChange))


def _of(table: str, *ops: str, first: int = 0, count: int = 1) -> tuple[Change, ...]:
    found = [change for change in _run() if change.table == table and change.op in ops]
    return tuple(found[first : first + count])


def cases() -> list[Case]:
    """Return what the page shows."""
    altered = [change for change in _run() if (change.table or "").startswith("ddl_t")]
    return [
        Case(
            "Insert",
            "INSERT INTO ri_default VALUES (10, 'ins', 10)",
            "",
            _of("ri_default", "insert"),
        ),
        Case(
            "Update",
            "UPDATE ri_default SET a = 'upd' WHERE id = 10",
            "Under REPLICA IDENTITY DEFAULT the server sends nothing of the old row while the key "
            "stays: `before` is null, and the before image empty.",
            _of("ri_default", "update"),
        ),
        Case(
            "Update under REPLICA IDENTITY FULL",
            "UPDATE ri_full SET a = 'upd' WHERE id = 10",
            "",
            _of("ri_full", "update"),
        ),
        Case(
            "Update of the key",
            "UPDATE ri_default SET id = 11 WHERE id = 10",
            "Debezium ends one row and starts another. DMS tells one update, and only a before "
            "image says of which row; `Tombstones` forgets the old key.",
            _of("ri_default", "update", first=1),
        ),
        Case(
            "Delete",
            "DELETE FROM ri_default WHERE id = 12",
            "",
            _of("ri_default", "delete"),
        ),
        Case(
            "Update that leaves TOASTed values alone",
            "UPDATE toast_default SET small = 2",
            "The server does not send them. They are not NULL: Debezium writes a placeholder, the "
            "DMS format leaves them out.",
            _of("toast_default", "update"),
        ),
        Case(
            "Truncate",
            "TRUNCATE tr_a",
            'Debezium skips it unless `skipped_operations="none"`, as here; DMS has nothing for '
            'it, and the control record is an offer of this library (`on_truncate="control"`).',
            _of("tr_a", "truncate"),
        ),
        Case(
            "Tables that change",
            "INSERT INTO ddl_t VALUES (1, 1, 'b1', 'c1');\n"
            "ALTER TABLE ddl_t ADD COLUMN d numeric(6,2) DEFAULT 9.5;\n"
            "INSERT INTO ddl_t VALUES (2, 2, 'b2', 'c2', 2.5);\n"
            "-- ...\n"
            "ALTER TABLE ddl_t DROP COLUMN b;\n"
            "INSERT INTO ddl_t VALUES (3, 3, 'c3', 3.5);\n"
            "ALTER TABLE ddl_t RENAME COLUMN c TO c_new;\n"
            "INSERT INTO ddl_t VALUES (4, 4, 'c4', 4.5)",
            "DMS's control records come before the row that shows the change. Debezium has no "
            "record of its own: the schema beside the next row differs.",
            tuple(change for change in altered if change.op in ("insert", "schema"))[:7],
        ),
    ]


class _Clock:
    """Stands a millisecond after the commit of the change in hand."""

    def __init__(self) -> None:
        self._now = 0

    def __call__(self) -> int:
        return self._now

    def set(self, change: Change) -> None:
        assert change.transaction is not None
        self._now = (change.transaction.commit_timestamp + 1000) * 1000


def debezium(clock: Callable[[], int]) -> Formatter:
    """Return the formatter of the page's records of Debezium."""
    return DebeziumFormatter(topic_prefix="dbz", skipped_operations="none", clock=clock)


def _formatters(clock: Callable[[], int]) -> Mapping[str, Formatter]:
    flat: Final = "json-unformatted"
    return {
        "Debezium": debezium(clock),
        "Debezium, unwrapped": UnwrappedFormatter(topic_prefix="dbz", clock=clock),
        "DMS": DmsFormatter(message_format=flat, clock=clock),
        "DMS, all told": DmsFormatter(
            message_format=flat,
            include_transaction_details=True,
            include_partition_value=True,
            partition_include_schema_table=True,
            include_null_and_empty=True,
            include_table_alter_operations=True,
            include_control_details=True,
            before_image=BeforeImage(column_filter="all"),
            on_truncate="control",
            clock=clock,
        ),
        "compacted": Tombstones(DmsFormatter(message_format=flat, clock=clock)),
    }


def records_of(case: Case, formatter: Formatter, clock: _Clock) -> list[Record]:
    """Return the records of a case."""
    records: list[Record] = []
    for change in case.changes:
        clock.set(change)
        records += formatter.format(change)
    return records


def records_of_debezium(case: Case) -> list[Record]:
    """Return the records of a case that the page calls Debezium's."""
    clock = _Clock()
    return records_of(case, debezium(clock), clock)


def _section(case: Case, formatters: Mapping[str, Formatter], clock: _Clock) -> str:
    parts = [f"\n### {case.title}\n", f"```sql\n{case.sql};\n```\n"]
    if case.text:
        parts.append(f"{case.text}\n")
    for name, formatter in formatters.items():
        lines = [_line(each) for each in records_of(case, formatter, clock)]
        if len(case.changes) > 1 and name in ("Debezium, unwrapped", "compacted"):
            continue  # nothing new in them, and much
        lines = lines or ["(nothing)"]
        parts.append(f"{name}:\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def _line(each: Record) -> str:
    key = "no key" if each.key is None else each.key.decode()
    value = "tombstone" if each.value is None else _cut(each.value.decode())
    return f"{key}\n    {value}"


def _cut(text: str) -> str:
    """Cut long strings; all else stays as it is, to the digit."""

    def shortened(content: Any) -> Any:
        if isinstance(content, dict):
            return {name: shortened(value) for name, value in content.items()}
        if isinstance(content, list):
            return [shortened(each) for each in content]
        if isinstance(content, str) and len(content) > 40:
            return content[:30] + "…"
        return content

    if max(map(len, text.split('"'))) <= 40:
        return text
    return json.dumps(shortened(json.loads(text)), ensure_ascii=False, separators=(",", ":"))


def _layout() -> str:
    (change,) = _of("ri_default", "insert")
    clock = _Clock()
    clock.set(change)
    (made,) = DmsFormatter(clock=clock).format(change)
    assert made.value is not None
    return (
        "\n## The layout of DMS\n\n"
        '`message_format="json"`, the default, has a line and tabs for each member; '
        '`"json-unformatted"` is on one line, as above.\n\n'
        f"```text\n{made.value.decode()}\n```\n"
    )


def _values() -> str:
    lines = [
        "\n## Values\n",
        "How the same values look in `after` of Debezium (default options) and in `data` of DMS.\n",
        "| type | PostgreSQL | Debezium | DMS |",
        "|---|---|---|---|",
    ]
    seen: set[tuple[str, str]] = set()
    ordinary = _of("types_scalar", "insert", count=1000)
    unusual = _of("types_edge", "insert", count=1000)
    for change in (*ordinary, *unusual):
        assert isinstance(change, Insert)
        if change in ordinary and change.after["id"] != "101":
            continue  # the others are alike
        lines += _rows(change, seen)
    return "\n".join(lines) + "\n"


def _rows(change: Insert, seen: set[tuple[str, str]]) -> Iterable[str]:
    def members(formatter: Formatter, image: str) -> Any:
        value = formatter.format(change)[0].value
        assert value is not None
        return json.loads(value, parse_float=_Token, parse_int=_Token)[image]

    theirs = members(debezium(lambda: 0), "after")
    dms = members(DmsFormatter(include_null_and_empty=True), "data")
    catalog = change.relation.catalog
    assert catalog is not None
    for described, raw in zip(change.relation.columns, change.after.raw, strict=True):
        if described.name in ("id", "note") or not isinstance(raw, bytes):
            continue
        column = catalog.column(described.name)
        assert column is not None
        text = raw.decode()
        if (column.type_text, text) not in seen and len(text) < 50 and text.isprintable():
            seen.add((column.type_text, text))
            # Debezium leaves out a type that it does not know.
            known = described.name in theirs
            shown = _code(_json(theirs[described.name])) if known else "(left out)"
            cells = (column.type_text, _code(text), shown, _code(_json(dms[described.name])))
            yield f"| {' | '.join(cells)} |"


class _Token(str):
    """A number as it stands in the text."""


def _json(value: Any) -> str:
    if isinstance(value, _Token):
        return value
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}:{_json(member)}" for name, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _code(text: str) -> str:
    return f"`` {text} ``".replace("|", "\\|") if text else "(empty)"


def page() -> str:
    """Return the page: what stands in it above the mark, and what is made."""
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(_MARK)
    clock = _Clock()
    formatters = _formatters(clock)
    sections = [_section(case, formatters, clock) for case in cases()]
    return head + mark + "".join(sections) + _layout() + _values()


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{len(cases())} cases written to {PAGE}\n")


if __name__ == "__main__":
    main()
