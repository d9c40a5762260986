"""``hstore``: from the server's text to JSON (manual, "hstore", external representation)."""

from __future__ import annotations

import re
from typing import Final

from pglogical_cdc.formatters.wire.java_text import hash_map_order
from pglogical_cdc.formatters.wire.json_text import json_text, object_mapper_text, utf8

__all__ = ("hstore_json", "hstore_map_json")

_HSTORE_PAIR: Final = re.compile(
    r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, |$)', re.DOTALL
)
_BACKSLASHED: Final = re.compile(r"\\(.)", re.DOTALL)


def _hstore_entries(value: bytes) -> list[tuple[str, str | None]]:
    text = utf8(value)
    entries: list[tuple[str, str | None]] = []
    position = 0
    while position < len(text):
        pair = _HSTORE_PAIR.match(text, position)
        if pair is None:
            raise ValueError("not the text of an hstore")
        key, content = pair[1], pair[2]
        entries.append(
            (
                _BACKSLASHED.sub(r"\1", key),
                None if content is None else _BACKSLASHED.sub(r"\1", content),
            )
        )
        position = pair.end()
    return hash_map_order(entries)


def hstore_json(value: bytes) -> bytes:
    """Return the JSON of an ``hstore`` in mode ``json``: a string with a JSON object in it."""
    members = [
        f"{object_mapper_text(key)}:{'null' if content is None else object_mapper_text(content)}"
        for key, content in _hstore_entries(value)
    ]
    return json_text(f"{{{','.join(members)}}}")


def hstore_map_json(value: bytes) -> bytes:
    """Return the JSON of an ``hstore`` in mode ``map``: an object."""
    members = [
        b"%b:%b" % (json_text(key), b"null" if content is None else json_text(content))
        for key, content in _hstore_entries(value)
    ]
    return b"{%b}" % b",".join(members)
