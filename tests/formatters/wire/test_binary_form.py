from __future__ import annotations

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.formatters.wire.binary_form import binary_form_error
from tests.formatters.tables import relation


def test_it_names_the_table_and_the_way_out() -> None:
    error = binary_form_error(relation(schema="shop", name="orders"))
    assert isinstance(error, ConfigurationError)
    assert "shop.orders" in str(error)
    assert str(error).endswith("read with binary=False")
