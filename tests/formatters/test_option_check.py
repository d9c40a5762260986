from __future__ import annotations

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.option_check import check_option, check_text


def test_what_is_supported_passes() -> None:
    check_option("mode", "b", "a", "b")
    check_option("schemas_enable", False, False)
    check_option("before_image", None, None)


@pytest.mark.parametrize("value", ["c", "", None, 0, True, ["a"]])
def test_others_are_refused_with_what_is_supported(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"mode must be 'a' or 'b' or False, not"):
        check_option("mode", value, "a", "b", False)


def test_text() -> None:
    check_text("task_id", "0")
    for value in (0, None, b"0", ["0"]):
        with pytest.raises(ConfigurationError, match="task_id must be a string, not "):
            check_text("task_id", value)
