from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.events import Relation
from pglogical_cdc.formatters.dms.alterations import Alteration, alterations
from tests.formatters.tables import column, relation

Described = tuple[str, int, str]


def version(*columns: Described, name: str = "t", schema: str = "public") -> Relation:
    """Return a version of a table: name, number and type of each column."""
    made = relation(*(column(each, kind) for each, _, kind in columns), name=name, schema=schema)
    assert made.catalog is not None
    numbers = [number for _, number, _ in columns]
    catalog = attrs.evolve(
        made.catalog,
        columns=tuple(
            attrs.evolve(each, attnum=number)
            for each, number in zip(made.catalog.columns, numbers, strict=True)
        ),
    )
    return attrs.evolve(made, catalog=catalog)


def apply(columns: Sequence[str], steps: Sequence[Alteration]) -> set[str]:
    """Do what the steps say, as strictly as a server would."""
    here = set(columns)
    for step in steps:
        if step.operation == "drop-column":
            assert step.column is not None
            here.remove(step.column)
        elif step.operation == "add-column":
            assert step.column is not None
            assert step.column not in here
            here.add(step.column)
        elif step.operation == "rename-column":
            assert step.old_column is not None
            assert step.column is not None
            assert step.column not in here
            here.remove(step.old_column)
            here.add(step.column)
        elif step.operation == "column-type-change":
            assert step.column in here
    return here


A, B, C = ("a", 1, "int4"), ("b", 2, "int4"), ("c", 3, "int4")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([A, B], [A, B], []),
        ([A], [A, B], [Alteration("add-column", "b")]),
        ([A, B], [A], [Alteration("drop-column", "b")]),
        ([A, B], [A, ("x", 2, "int4")], [Alteration("rename-column", "x", "b")]),
        ([A, B], [A, ("b", 2, "text")], [Alteration("column-type-change", "b")]),
        (
            [A, B],
            [A, ("x", 2, "text")],
            [Alteration("rename-column", "x", "b"), Alteration("column-type-change", "x")],
        ),
        # Dropped and added again under its name.
        (
            [A, B],
            [A, ("b", 3, "int4")],
            [Alteration("drop-column", "b"), Alteration("add-column", "b")],
        ),
        # One takes the name that another had.
        (
            [A, B],
            [("b", 1, "int4"), ("c", 2, "int4")],
            [Alteration("rename-column", "c", "b"), Alteration("rename-column", "b", "a")],
        ),
        # Two have swapped their names.
        (
            [A, B],
            [("b", 1, "int4"), ("a", 2, "int4")],
            [
                Alteration("drop-column", "a"),
                Alteration("rename-column", "a", "b"),
                Alteration("add-column", "b"),
            ],
        ),
    ],
)
def test_steps(before: list[Described], after: list[Described], expected: list[Alteration]) -> None:
    steps = alterations(version(*before), version(*after))
    assert steps == expected
    assert apply([name for name, _, _ in before], steps) == {name for name, _, _ in after}


def test_a_table_renamed_or_moved() -> None:
    assert alterations(version(A), version(A, name="u")) == [Alteration("rename-table")]
    assert alterations(version(A), version(A, schema="s")) == [Alteration("rename-table")]


def test_a_modifier_is_part_of_the_type() -> None:
    before, after = relation(column("a", "varchar", 8)), relation(column("a", "varchar", 9))
    assert alterations(before, after) == [Alteration("column-type-change", "a")]


def test_without_proof_a_rename_is_a_drop_and_an_addition() -> None:
    before = version(A, B)
    after = version(A, ("x", 2, "int4"))
    without = attrs.evolve(before, catalog=None)
    expected = [Alteration("drop-column", "b"), Alteration("add-column", "x")]
    assert alterations(without, after) == expected
    # A catalog read after the rename knows no column of the name that the version has.
    assert after.catalog is not None
    assert alterations(attrs.evolve(before, catalog=after.catalog), after) == expected


columns = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 6), st.sampled_from(["int4", "text"])),
    max_size=5,
    unique_by=(lambda each: each[0], lambda each: each[1]),
)


@given(columns, columns, st.booleans())
def test_the_steps_make_of_one_version_the_other(
    before: list[Described], after: list[Described], known: bool
) -> None:
    old, new = version(*before), version(*after)
    if not known:
        new = attrs.evolve(new, catalog=None)
    steps = alterations(old, new)
    assert apply(list(old.positions), steps) == set(new.positions)
    kinds = {name: kind for name, _, kind in after}
    by_number = {number: kind for _, number, kind in before}
    if known:
        for name, number, kind in after:
            if by_number.get(number, kind) != kind:
                touched = [step for step in steps if step.column == name]
                assert any(
                    step.operation in ("column-type-change", "add-column") for step in touched
                ), kinds
