"""The digest of everything that a writer has written."""

from __future__ import annotations

import hashlib

__all__ = ("Digest",)


class Digest:
    """SHA-256 over topic, key and value of records, in their order.

    Each part comes with its length, so that no two sequences of records look the same.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, topic: bytes, key: bytes | None, value: bytes | None) -> None:
        """Add a record."""
        for part in (topic, key, value):
            self._hash.update(b"-" if part is None else b"%d:%b" % (len(part), part))

    def hex(self) -> str:
        """Return the digest so far."""
        return self._hash.hexdigest()
