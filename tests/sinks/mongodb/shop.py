"""A table to which much happens, and what is in it after each change."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from pglogical_cdc import UNCHANGED
from pglogical_cdc.absent import NOT_SENT
from pglogical_cdc.events import RowChange
from tests.formatters.tables import column
from tests.handlers import changes
from tests.handlers.changes import table

__all__ = ("Rows", "happened")

Rows: TypeAlias = "dict[tuple[int, str], dict[str, object]]"
"""The rows of a table by their key."""

_SHOP: Final = table(
    column("name"),
    column("part"),
    column("id", "int4"),
    column("big"),
    key=("id", "part"),
    not_null=("id", "part"),
    name="shop",
)
_KEYS: Final = [(id, part) for id in range(1, 4) for part in "ab"]


def happened(seed: int, count: int) -> tuple[list[RowChange], list[Rows]]:
    """Return so many changes of a table, which is empty at first, and its rows after each.

    Rows come, change, take other keys and go. Of many updates the server does not send ``big``.
    """
    r = random.Random(seed)
    made: list[RowChange] = []
    rows: Rows = {}
    history: list[Rows] = []
    kinds: Sequence[tuple[Callable[[random.Random, Rows], RowChange | None], int]] = (
        (_insert, 35),
        (_update, 35),
        (_move, 15),
        (_delete, 14),
        (_truncate, 1),
    )
    functions, weights = zip(*kinds, strict=True)
    while len(made) < count:
        (function,) = r.choices(functions, weights)
        change = function(r, rows)
        if change is not None:
            made.append(change)
            history.append(dict(rows))
    return made, history


def _insert(r: random.Random, rows: Rows) -> RowChange | None:
    key = r.choice(_KEYS)
    if key in rows:
        return None
    rows[key] = _row(r, key)
    make = changes.read if r.random() < 0.2 else changes.insert
    return make(_SHOP, *_values(rows[key]))


def _update(r: random.Random, rows: Rows) -> RowChange | None:
    key = r.choice(_KEYS)
    if key not in rows:
        return None
    old, rows[key] = rows[key], _row(r, key)
    if r.random() < 0.25:
        return changes.update(_SHOP, *_values(rows[key]))
    rows[key]["big"] = old["big"]
    return changes.update(_SHOP, *_values(rows[key])[:3], UNCHANGED)


def _move(r: random.Random, rows: Rows) -> RowChange | None:
    old, new = r.sample(_KEYS, 2)
    if old not in rows or new in rows:
        return None
    row = rows.pop(old)
    rows[new] = _row(r, new)
    before = (NOT_SENT, old[1], str(old[0]), NOT_SENT)
    if r.random() < 0.25:
        return changes.update(_SHOP, *_values(rows[new]), before=before)
    rows[new]["big"] = row["big"]
    return changes.update(_SHOP, *_values(rows[new])[:3], UNCHANGED, before=before)


def _delete(r: random.Random, rows: Rows) -> RowChange | None:
    key = r.choice(_KEYS)
    if rows.pop(key, None) is None:
        return None
    return changes.delete(_SHOP, NOT_SENT, key[1], str(key[0]), NOT_SENT)


def _truncate(r: random.Random, rows: Rows) -> RowChange:
    rows.clear()
    return changes.truncate(_SHOP)


def _row(r: random.Random, key: tuple[int, str]) -> dict[str, object]:
    name = r.choice([None, f"n{r.randint(0, 99)}"])
    return {"name": name, "part": key[1], "id": key[0], "big": f"b{r.randint(0, 9999)}"}


def _values(row: dict[str, object]) -> list[str | None]:
    return [None if value is None else str(value) for value in row.values()]
