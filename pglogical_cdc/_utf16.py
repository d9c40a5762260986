"""UTF-16, in whose units Java, and so Debezium, counts the characters of a string."""

from __future__ import annotations

__all__ = ("utf16_cut", "utf16_key", "utf16_units")


def utf16_units(text: str) -> list[str]:
    """Return the units of a text; a character beyond U+FFFF has two, which are surrogates."""
    if text.isascii():
        return list(text)
    encoded = text.encode("utf-16-be", "surrogatepass")
    return [chr(int.from_bytes(encoded[i : i + 2], "big")) for i in range(0, len(encoded), 2)]


def utf16_cut(text: str, length: int) -> str:
    """Return the beginning of a text: so many units at most, and no half characters."""
    text = text[:length]  # each has one unit at least
    if text.isascii():
        return text
    encoded = text.encode("utf-16-le", "surrogatepass")[: 2 * length]
    if len(encoded) >= 2 and 0xD8 <= encoded[-1] <= 0xDB:
        encoded = encoded[:-2]
    return encoded.decode("utf-16-le", "surrogatepass")


def utf16_key(text: str) -> bytes:
    """Return what sorts as Java sorts texts: a character beyond U+FFFF before some below it."""
    return text.encode("utf-16-be", "surrogatepass")
