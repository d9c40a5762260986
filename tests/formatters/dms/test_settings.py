from __future__ import annotations

from typing import Any

import pytest

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.dms.settings import BeforeImage, BeforeImageColumns


def test_the_defaults_are_those_of_aws() -> None:
    assert BeforeImage() == BeforeImage("before-image", "pk-only")
    assert BeforeImageColumns() == BeforeImageColumns("BI_", "", "pk-only")


def test_the_name_of_a_column() -> None:
    assert BeforeImageColumns().name("id") == "BI_id"
    assert BeforeImageColumns("", "_old").name("id") == "id_old"


@pytest.mark.parametrize("name", ["", "data", "metadata", "control", 7])
def test_a_member_needs_a_name_of_its_own(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="field_name must be"):
        BeforeImage(name)


def test_columns_need_a_name_of_their_own() -> None:
    with pytest.raises(ConfigurationError, match="must not both be empty"):
        BeforeImageColumns("", "")
    bad: Any = 7
    with pytest.raises(ConfigurationError, match="column_suffix must be a string"):
        BeforeImageColumns("BI_", bad)


@pytest.mark.parametrize("settings", [BeforeImage, BeforeImageColumns])
def test_a_filter_is_one_of_three(settings: Any) -> None:
    with pytest.raises(ConfigurationError, match="'pk-only' or 'non-lob' or 'all'"):
        settings(column_filter="lob")
