"""Tests of `pglogical_cdc.events.catalog`."""

from __future__ import annotations

from pglogical_cdc.events.catalog import CatalogColumn, CatalogType, TableCatalog, UniqueIndex


def _catalog(**other: object) -> TableCatalog:
    columns = tuple(
        CatalogColumn(name, i, 23, -1, "integer", True, None, "", "")
        for i, name in enumerate(("id", "n"), 1)
    )
    given = {"primary_key": ("id",), **other}
    return TableCatalog("d", 7, "s", "t", columns, **given)  # type: ignore[arg-type]


def test_column_by_name() -> None:
    found = _catalog().column("n")
    assert found is not None
    assert (found.name, found.attnum) == ("n", 2)
    assert _catalog().column("N") is None


def test_equal_if_everything_is() -> None:
    # The assembler takes a new catalog over only if it differs.
    assert _catalog() == _catalog()
    assert _catalog() != _catalog(primary_key=None)
    assert _catalog() != _catalog(unique_indexes=(UniqueIndex("u", ("n",)),))
    mood, more = (
        CatalogType(9, "s", "mood", "e", labels=labels) for labels in (("a",), ("a", "b"))
    )
    assert _catalog(types={9: mood}) != _catalog(types={9: more})


def test_types_are_not_shared_between_tables() -> None:
    assert _catalog().types is not _catalog().types
