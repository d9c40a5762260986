"""NamePatterns: lists of regular expressions, as Debezium's options name tables and columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError

__all__ = ("NamePatterns", "case_insensitive")


def case_insensitive(option: str, text: str) -> re.Pattern[str]:
    """Compile a regular expression of an option as Debezium does, with CASE_INSENSITIVE alone.

    ``\\w`` and the two cases of letters are ASCII's then, unless ``(?u)`` begins the expression.

    Raises:
        ConfigurationError: it is none.
    """
    flags = re.IGNORECASE if text.startswith("(?u)") else re.IGNORECASE | re.ASCII
    try:
        return re.compile(text, flags)
    except (re.error, ValueError, OverflowError):
        raise ConfigurationError(f"{option}: not a regular expression: {text!r}") from None


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
        return cls(
            tuple(
                case_insensitive(option, text.strip().replace("\\,", ","))
                for text in texts
                if text.strip()
            )
        )

    def match(self, name: str) -> bool:
        """Tell whether one matches."""
        return any(pattern.fullmatch(name) for pattern in self.patterns)
