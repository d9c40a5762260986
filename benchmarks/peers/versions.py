"""The versions of the peers, and of what they need."""

from __future__ import annotations

from typing import Final

__all__ = (
    "DEBEZIUM",
    "PGOUTPUT_DECODER",
    "PSYCOPG2",
    "PYDANTIC",
    "PYPGOUTPUT",
    "TYPING_EXTENSIONS",
)

PSYCOPG2: Final = "2.9.13"

PGOUTPUT_DECODER: Final = "0.1.0"

PYPGOUTPUT: Final = "0.0.3"

PYDANTIC: Final = "1.10.27"
"""The last of the major version that pypgoutput was written for."""

TYPING_EXTENSIONS: Final = "4.16.0"
"""Needed by pydantic."""

DEBEZIUM: Final = "3.6.3.Final"
"""In the extra ``conformance``, whose pin decides."""
