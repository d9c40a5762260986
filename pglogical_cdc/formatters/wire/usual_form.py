"""The usual form of a type's values, as Python expressions that `row_writer` compiles.

A converter takes every text that a server may write. Most texts of a type are of one form, though,
and of that form the JSON takes one expression and no call. `UsualForm` says which texts these are,
and what a converter makes of them; of all others the converter itself is asked.

In the expressions ``v`` is the text as it came, of class `bytes`, and `NAMES` are known. They must
not contain anything from a database.

Rows of a snapshot come many at once. Then a form may say more cheaply what becomes of a whole
column of texts, because most of that is done outside of Python's loops.
"""

from __future__ import annotations

import string
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from attrs import field

from pglogical_cdc._attrs import record

__all__ = (
    "AS_IT_IS",
    "BOOLEAN_FORM",
    "NAMES",
    "PAIRS",
    "PartlyUsual",
    "QUOTED",
    "TEXT_FORM",
    "UsualForm",
    "WriteColumn",
)

WriteColumn: TypeAlias = Callable[[Sequence[str]], "Sequence[str] | PartlyUsual | None"]
"""From some texts of a column to the JSON of each; None if it is not worth while to tell which of
them are of another form."""


class PartlyUsual(list["str | None"]):
    """The JSON of texts of a column, None for those that are of another form."""


@record
class UsualForm:
    """Which texts of a type are of its usual form, and their JSON.

    What either expression raises counts as a text of another form.
    """

    json: str
    """Expression of the JSON, a `str`."""
    test: str | None = None
    """Expression that is true of texts of the form; None if all are of it."""
    column: WriteColumn | None = field(default=None, eq=False, repr=False)
    """The same for many texts; a `ValueError` or `LookupError` is as None."""


_BASE64: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"

PAIRS: Final = [a + b for a in _BASE64 for b in _BASE64]
"""What is base64 of twelve bits."""

NAMES: Final[Mapping[str, object]] = {
    "base64": b2a_base64,
    "pairs": PAIRS,
    "quote": encode_basestring,
    "zeros": bytes.maketrans(b"0123456789", b"0000000000"),
}
"""What the expressions may call or use."""


def _quoted(column: Sequence[str]) -> list[str]:
    return [f'"{text}"' for text in column]


_BOOLEANS: Final = {"t": "true", "f": "false", "1": "true", "0": "false"}


def _booleans(column: Sequence[str]) -> list[str]:
    return [_BOOLEANS[text] for text in column]


def _texts(column: Sequence[str]) -> list[str] | PartlyUsual:
    texts = "".join(column)
    if '"' not in texts and "\\" not in texts and texts.isascii() and texts.isprintable():
        return _quoted(column)
    quoted = list(map(encode_basestring, column))
    if _is_usual("".join(quoted)):
        return quoted
    return PartlyUsual([text if _is_usual(text) else None for text in quoted])


def _is_usual(quoted: str) -> bool:
    return quoted.isascii() and "\\u" not in quoted


AS_IT_IS: Final = UsualForm("v.decode()", column=lambda column: column)
"""The text is JSON already."""

QUOTED: Final = UsualForm("f'\"{v.decode()}\"'", column=_quoted)
"""Text without characters that need an escape."""

BOOLEAN_FORM: Final = UsualForm('"true" if v == b"t" or v == b"1" else "false"', column=_booleans)

TEXT_FORM: Final = UsualForm(
    "t",
    # Only a control character gives \u; mostly there is no backslash at all.
    '(t := quote(v.decode())).isascii() and ("\\\\" not in t or "\\\\u" not in t)',
    column=_texts,
)
"""A JSON string of ASCII without control characters that have no short escape."""
