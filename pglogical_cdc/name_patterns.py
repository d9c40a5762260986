"""NamePatterns: lists of regular expressions, as Debezium's options name tables and columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError

__all__ = ("JAVA_CASE_INSENSITIVE", "NamePatterns")

JAVA_CASE_INSENSITIVE: Final = re.IGNORECASE | re.ASCII
"""The flags that come nearest to Java's CASE_INSENSITIVE alone: ``\\w`` and case are ASCII's."""


@record
class NamePatterns:
    """Regular expressions of Debezium's lists of names; a name has to match one as a whole."""

    patterns: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def read(cls, option: str, given: str | Sequence[str]) -> NamePatterns:
        """Read a list of expressions: a string with commas between them, or several.

        ASCII letters match in either case, as in Debezium.

        Raises:
            ConfigurationError: one is no regular expression.
        """
        texts = re.split(r"(?<!\\),", given) if isinstance(given, str) else given
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise ConfigurationError(
                f"{option} must be a string of regular expressions with commas between them, or a "
                f"sequence of them, not {given!r}"
            )
        try:
            return cls(
                tuple(
                    re.compile(text.strip().replace("\\,", ","), JAVA_CASE_INSENSITIVE)
                    for text in texts
                    if text.strip()
                )
            )
        except re.error as error:
            raise ConfigurationError(
                f"{option}: not a regular expression: {error.pattern!r}"
            ) from None

    def match(self, name: str) -> bool:
        """Tell whether one matches."""
        return any(pattern.fullmatch(name) for pattern in self.patterns)
