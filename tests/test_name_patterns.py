from __future__ import annotations

from collections.abc import Sequence

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.name_patterns import NamePatterns


def _read(given: str | Sequence[str]) -> NamePatterns:
    return NamePatterns.read("columns", given)


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ("public.t.a", "public.t.a", True),
        # As a whole, not a part.
        ("public.t.a", "public.t.ab", False),
        ("t.a", "public.t.a", False),
        ("public.t", "public.t.a", False),
        (".*", "public.t.a", True),
        (r"public\..*\.(a|b)", "public.x.b", True),
        (r"public\..*\.(a|b)", "public.x.c", False),
        # In either case of ASCII letters.
        ("PUBLIC.T.A", "public.t.a", True),
        ("public.t.a", "Public.T.A", True),
        ("public.t.\u00c4", "public.t.\u00e4", False),
        ("(?u)public.t.\u00c4", "public.t.\u00e4", True),
        # One of several is enough.
        ("x,public.t.a,y", "public.t.a", True),
        (" x , public.t.a ", "public.t.a", True),
        (["x", " public.t.a "], "public.t.a", True),
        # The comma of a quantifier, or of a name, has a backslash.
        (r"public\.t\.a{1\,3}", "public.t.aa", True),
        (r"public\.t\.a{1\,3}", "public.t.aaaa", False),
        (r"public\.t\.a\,b,x", "public.t.a,b", True),
        ([r"public\.t\.a{1,3}"], "public.t.aa", True),
        ("a", "a\n", False),
    ],
)
def test_match(given: str | Sequence[str], name: str, expected: bool) -> None:
    assert _read(given).match(name) is expected


@pytest.mark.parametrize("given", ["", " , ", (), ["", " "]])
def test_nothing_matches_no_expression(given: str | Sequence[str]) -> None:
    patterns = _read(given)
    assert patterns == NamePatterns()
    assert not patterns.match("")
    assert not patterns.match("public.t.a")


@pytest.mark.parametrize("given", ["(", "a,[", ["a", "*"]])
def test_what_is_no_expression_is_refused(given: str | Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="columns: not a regular expression"):
        _read(given)


@pytest.mark.parametrize("given", [None, 5, b"a", [5], ["a", None], {"a": 1}])
def test_what_is_no_list_of_expressions_is_refused(given: object) -> None:
    with pytest.raises(ConfigurationError, match="columns must be a string of regular"):
        NamePatterns.read("columns", given)  # type: ignore[arg-type]
