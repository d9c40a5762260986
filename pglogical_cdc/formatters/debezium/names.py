"""Names of topics, schemas and fields.

Topics: what Kafka allows. Schemas and fields: as they are, or what Avro allows
(``schema.name.adjustment.mode``, ``field.name.adjustment.mode``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

from pglogical_cdc._utf16 import utf16_units

__all__ = (
    "AdjustmentMode",
    "distinct",
    "field_name_adjustment",
    "schema_name_adjustment",
    "topic_name",
)

AdjustmentMode: TypeAlias = Literal["none", "avro", "avro_unicode"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def topic_name(*parts: str, delimiter: str = ".") -> str:
    """Join parts to a topic's name; every UTF-16 unit that Kafka does not allow becomes ``_``."""
    return _UNSAFE.sub(
        lambda match: "_" if match[0] < "\U00010000" else "__", delimiter.join(parts)
    )


def schema_name_adjustment(mode: AdjustmentMode) -> Callable[[str], str]:
    """Return the function that makes a schema's name, in which dots are allowed."""
    return _adjustment(mode, ".")


def field_name_adjustment(mode: AdjustmentMode) -> Callable[[str], str]:
    """Return the function that makes a field's name, in which dots are not allowed."""
    return _adjustment(mode, "")


def distinct(names: Iterable[str]) -> list[str]:
    """Return names with a number behind those that another one has before them.

    Two names may be adjusted to the same. Debezium stops there.
    """
    made: dict[str, None] = {}
    for name in names:
        number, given = 2, name
        while given in made:
            given, number = f"{name}_{number}", number + 1
        made[given] = None
    return list(made)


def _adjustment(mode: AdjustmentMode, further: str) -> Callable[[str], str]:
    if mode == "none":
        return lambda name: name
    # The escapes of avro_unicode begin with an underscore, so that one has to be escaped as well.
    unicode = mode == "avro_unicode"
    first = re.compile("[A-Za-z]" if unicode else "[A-Za-z_]")
    rest = re.compile(f"[A-Za-z0-9{further}]" if unicode else f"[A-Za-z0-9_{further}]")

    def adjusted(name: str) -> str:
        made: list[str] = []
        for character in utf16_units(name):
            if (rest if made else first).fullmatch(character):
                made.append(character)
            elif unicode:
                made.append(f"_u{ord(character):x}" if ord(character) > 255 else _short(character))
            else:
                made.append("_")
                if len(made) == 1 and character.isdecimal():
                    made.append(character)
        return "".join(made)

    return adjusted


def _short(character: str) -> str:
    return f"_u00{ord(character):x}"
