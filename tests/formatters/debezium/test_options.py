from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters import DebeziumFormatter
from pglogical_cdc.formatters.debezium.options import (
    DebeziumOptions,
    skipped_letters,
)


def test_options_are_the_formatters_parameters() -> None:
    parameters = [*inspect.signature(DebeziumFormatter).parameters]

    assert parameters == ["topic_prefix", *get_type_hints(DebeziumOptions)]


@pytest.mark.parametrize(
    ("text", "letters"),
    [("t", "t"), ("none", ""), ("c,u,d,t", "cudt"), (" c , d ", "cd"), ("", "")],
)
def test_skipped_operations(text: str, letters: str) -> None:
    assert skipped_letters(text) == set(letters)


@pytest.mark.parametrize("text", ["x", "c;d", "none,c", "truncate", None, ("c",)])
def test_skipped_operations_refuses_others(text: object) -> None:
    with pytest.raises(ConfigurationError, match="c, u, d, t"):
        skipped_letters(text)
