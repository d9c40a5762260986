"""How the formatters refuse a value of an option that they do not support."""

from __future__ import annotations

from pglogical_cdc.errors import ConfigurationError

__all__ = ("check_option", "check_text")


def check_option(name: str, value: object, *supported: object) -> None:
    """Refuse a value that is none of these; 0 is not False, and 1 is not True.

    Raises:
        ConfigurationError: it is none.
    """
    if not any(type(value) is type(choice) and value == choice for choice in supported):
        choices = " or ".join(map(repr, supported))
        raise ConfigurationError(f"{name} must be {choices}, not {value!r}")


def check_text(name: str, value: object) -> None:
    """Refuse what is no string.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not {value!r}")
