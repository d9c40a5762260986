"""Reads JSON by a Connect schema beside it, as a consumer's JsonConverter does."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

__all__ = ("faults", "faults_of_record")

_BITS: Final = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def faults_of_record(text: bytes) -> list[str]:
    """Describe where the payload of ``{"schema":...,"payload":...}`` does not fit its schema."""
    content = json.loads(text)
    assert list(content) == ["schema", "payload"]
    return faults(content["schema"], content["payload"])


def faults(schema: dict[str, Any], payload: Any, where: str = "payload") -> list[str]:
    """Describe where a value does not fit a schema."""
    if payload is None:
        # A default stands for null, as in the converter.
        return [] if schema["optional"] or "default" in schema else [f"{where} is null"]
    kind = schema["type"]
    if kind == "struct":
        return _struct_faults(schema, payload, where)
    if kind == "array" and isinstance(payload, list):
        return [
            fault
            for i, item in enumerate(payload)
            for fault in faults(schema["items"], item, f"{where}[{i}]")
        ]
    if kind == "map":
        return _map_faults(schema, payload, where)
    return [] if _fits(kind, payload) else [f"{where} is no {kind}: {payload!r}"]


def _struct_faults(schema: dict[str, Any], payload: Any, where: str) -> list[str]:
    if not isinstance(payload, dict):
        return [f"{where} is no struct: {payload!r}"]
    fields = {field["field"]: field for field in schema["fields"]}
    found = [f"{where}.{name} is not in the schema" for name in payload if name not in fields]
    for name, field in fields.items():
        found += faults(field, payload.get(name), f"{where}.{name}")
    return found


def _map_faults(schema: dict[str, Any], payload: Any, where: str) -> list[str]:
    # Keys that are strings make an object, others an array of pairs.
    if schema["keys"]["type"] == "string" and not schema["keys"]["optional"]:
        pairs = list(payload.items()) if isinstance(payload, dict) else None
    else:
        pairs = payload if isinstance(payload, list) else None
    if pairs is None:
        return [f"{where} is no map: {payload!r}"]
    found = []
    for key, value in pairs:
        found += faults(schema["keys"], key, f"{where} key")
        found += faults(schema["values"], value, f"{where}[{key!r}]")
    return found


def _fits(kind: str, payload: Any) -> bool:
    if kind == "boolean":
        return isinstance(payload, bool)
    if kind in _BITS:
        limit = 1 << (_BITS[kind] - 1)
        return type(payload) is int and -limit <= payload < limit
    if kind in ("float", "double"):
        return type(payload) in (int, float) or payload in ("NaN", "Infinity", "-Infinity")
    if kind == "string":
        return isinstance(payload, str)
    if kind == "bytes" and isinstance(payload, str):
        return base64.b64encode(base64.b64decode(payload, validate=True)).decode() == payload
    return False
