"""The usual form of a type's values, as Python expressions that `row_writer` compiles.

A converter takes every text that a server may write. Most texts of a type are of one form, though,
and of that form the JSON takes one expression and no call. `UsualForm` says which texts these are,
and what a converter makes of them; of all others the converter itself is asked.

In the expressions ``v`` is the text as it came, of class `bytes`, and `NAMES` are known. They must
not contain anything from a database.
"""

from __future__ import annotations

import string
from binascii import b2a_base64
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Final

from pglogical_cdc._attrs import record

__all__ = ("AS_IT_IS", "BOOLEAN_FORM", "NAMES", "QUOTED", "TEXT_FORM", "UsualForm")


@record
class UsualForm:
    """Which texts of a type are of its usual form, and their JSON.

    What either expression raises counts as a text of another form.
    """

    json: str
    """Expression of the JSON, a `str`."""
    test: str | None = None
    """Expression that is true of texts of the form; None if all are of it."""


_BASE64: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"

NAMES: Final[Mapping[str, object]] = {
    "base64": b2a_base64,
    "pairs": [a + b for a in _BASE64 for b in _BASE64],
    "quote": encode_basestring,
    "zeros": bytes.maketrans(b"0123456789", b"0000000000"),
}
"""What the expressions may call or use."""

AS_IT_IS: Final = UsualForm("v.decode()")
"""The text is JSON already."""

QUOTED: Final = UsualForm("f'\"{v.decode()}\"'")
"""Text without characters that need an escape."""

BOOLEAN_FORM: Final = UsualForm('"true" if v == b"t" or v == b"1" else "false"')

TEXT_FORM: Final = UsualForm(
    "t",
    # Only a control character gives \u; mostly there is no backslash at all.
    '(t := quote(v.decode())).isascii() and ("\\\\" not in t or "\\\\u" not in t)',
)
"""A JSON string of ASCII without control characters that have no short escape."""
