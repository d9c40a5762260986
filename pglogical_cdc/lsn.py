"""LSN: a position in the write-ahead log.

On the wire an LSN is an unsigned 64-bit integer; people write it as two hexadecimal halves,
``16/B374D848`` (PostgreSQL manual, "pg_lsn Type").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from typing_extensions import Self

__all__ = ("LSN", "wire_lsn")

_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_LIMIT = 1 << 64


class LSN(int):
    """A log sequence number: an `int` that prints as PostgreSQL prints it.

    It compares, hashes and subtracts as the integer that it is; the difference of two is a
    number of bytes of WAL.

    >>> LSN.parse("16/B374D848")
    LSN('16/B374D848')
    >>> int(LSN.parse("0/10"))
    16
    """

    __slots__ = ()

    def __new__(cls, value: int = 0) -> Self:
        """Make an LSN of its integer.

        Raises:
            ValueError: the number does not fit 64 bits without a sign.
        """
        if not 0 <= value < _LIMIT:
            raise ValueError(f"an LSN is between 0 and 2^64 - 1, not {value}")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that ``str`` gives.

        Raises:
            ValueError: the text is not of that form.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not an LSN: {text!r} (expected the form 16/B374D848)")
        return cls((int(match[1], 16) << 32) | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"LSN('{self}')"

    def __format__(self, spec: str) -> str:
        return int.__format__(self, spec) if spec else str(self)


wire_lsn: Final[Callable[[int], LSN]] = partial(int.__new__, LSN)
"""Make an LSN of eight bytes without a sign: they are in bounds, and a check costs a call."""
