from __future__ import annotations

import pytest

from pglogical_cdc.formatters.dms.layout import LAYOUTS
from pglogical_cdc.formatters.dms.metadata import Metadata

LAYOUT = LAYOUTS["json-unformatted"]


@pytest.mark.parametrize("key_values", [False, True])
def test_members_in_their_order(key_values: bool) -> None:
    metadata = Metadata(LAYOUT, "data", key_values=key_values)
    value = '"partition-key-value":"\\"",' if key_values else ""
    for operation in ("insert", "update"):
        found = metadata.members("now", operation, "primary-key", '"', '"table-name":"t"', 7)
        assert found == (
            f',"timestamp":"now","record-type":"data","operation":"{operation}",'
            f'"partition-key-type":"primary-key",{value}"table-name":"t","transaction-id":7'
        )


def test_what_is_left_out() -> None:
    found = Metadata(LAYOUT, "control", key_values=True).members("", "", "schema-table", "s.t", "n")
    assert found == (
        ',"timestamp":"","record-type":"control","operation":"",'
        '"partition-key-type":"schema-table",n'
    )
