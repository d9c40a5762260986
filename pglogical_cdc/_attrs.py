"""``record``: attrs classes that are frozen for type checkers and plain slots at run time.

A frozen attrs class costs about three times as much to make as a plain one, and one is made for
every message, so immutability is left to the type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as record
else:
    from attrs import define as record

__all__ = ("record",)
