"""The error that the JSON formats raise for a value in binary form."""

from __future__ import annotations

from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Relation

__all__ = ("binary_form_error",)


def binary_form_error(relation: Relation) -> ConfigurationError:
    """Return the error for a table one of whose values is in the binary form of its type."""
    return ConfigurationError(
        f"a value of {relation.schema}.{relation.name} came in binary form, of which no JSON is "
        "made: read with binary=False"
    )
