from __future__ import annotations

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.transforms import (
    ExcludeColumns,
    IncludeColumns,
)
from tests.transforms.tables import (
    USERS,
    applied,
    insert,
)


class TestExcludeAndInclude:
    def test_columns(self) -> None:
        for transform, names in (
            (ExcludeColumns("public.users.secret"), ["id", "name"]),
            (ExcludeColumns(["public.users.secret", "public.users.id"]), ["name"]),
            (ExcludeColumns("public.users.secret,public.users.id"), ["name"]),
            (ExcludeColumns(r".*\.users\..*"), []),
            (IncludeColumns("public.users.secret"), ["secret"]),
            (IncludeColumns(r"public\.users\.(id|secret)"), ["id", "secret"]),
            (IncludeColumns("nothing"), []),
        ):
            made = applied(transform, insert(b"1", b"Ann", b"hidden"))
            assert made.after is not None
            assert list(made.after) == [each.name for each in made.relation.columns] == names
            assert len(made.after.raw) == len(names)

    def test_what_is_left_is_as_it_was(self) -> None:
        made = applied(ExcludeColumns("public.users.name"), insert(b"1", UNCHANGED, None))
        assert made.relation.columns == (USERS.columns[0], USERS.columns[2])
        assert made.relation.catalog is USERS.catalog
        assert made.after is not None
        assert dict(made.after) == {"id": "1", "secret": None}

    def test_no_expression_leaves_nothing_out(self) -> None:
        change = insert(b"1", b"Ann", b"hidden")
        assert ExcludeColumns("")(change) is change
        assert ExcludeColumns(())(change) is change
        assert applied(IncludeColumns(""), change).relation.columns == ()
