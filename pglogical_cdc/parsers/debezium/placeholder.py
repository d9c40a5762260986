"""``unavailable.value.placeholder``, in each form that it has in the JSON of some type."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any, Final

__all__ = ("Placeholder",)


class Placeholder:
    """Knows the values that stand for a TOASTed value that the server did not send.

    Args:
        content: the placeholder's bytes.
    """

    def __init__(self, content: bytes) -> None:
        text = content.decode(errors="replace")
        plain = base64.b64encode(content).decode()
        self._texts: Final = frozenset(
            (
                text,
                # bytea, by binary_handling_mode
                plain,
                base64.urlsafe_b64encode(content).decode(),
                content.hex(),
                # hstore as JSON
                json.dumps({text: text}, ensure_ascii=False, separators=(",", ":")),
            )
        )
        # Arrays: of text, bytea, uuid (UUID.nameUUIDFromBytes), and of int4, int8 and date.
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        self._others: Final[tuple[Any, ...]] = (
            [text],
            [plain],
            [str(uuid.UUID(bytes=digest, version=3))],
            [byte - 256 if byte > 127 else byte for byte in content],
            {text: text},
        )

    def stands_for(self, value: Any) -> bool:
        """Tell whether a JSON value is the placeholder."""
        if isinstance(value, str):
            return value in self._texts
        return isinstance(value, list | dict) and value in self._others
