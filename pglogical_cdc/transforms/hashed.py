"""HashColumns: a salted hash instead of values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from attrs import evolve

from pglogical_cdc._utf16 import utf16_units
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import Alteration, Column, Relation
from pglogical_cdc.transforms.columns import Alter, ColumnTransform
from pglogical_cdc.transforms.text_columns import is_character, longest, on_text

__all__ = ("HashColumns", "HashVersion")


HashVersion: TypeAlias = Literal[1, 2]


class HashColumns(ColumnTransform):
    """Writes a salted hash, in hexadecimal digits, instead of values.

    ``column.mask.hash.<algorithm>.with.salt.<salt>``, and with ``version=2``
    ``column.mask.hash.v2...``. A hash is cut to the length that the column's type allows. NULL
    stays NULL. Columns that are not of a character type, an enum or a domain over one **are left
    as they are**: leave those out with `ExcludeColumns`.

    Args:
        columns: regular expressions of ``schema.table.column``.
        algorithm: ``SHA-256``, ``MD5`` and so on, in Java's way of writing.
        salt: comes before the value.
        version: 1 hashes the value as Java serialises it, 2 the bytes of its text.

    Raises:
        ConfigurationError: an expression is none, or the algorithm is not known.
    """

    def __init__(
        self,
        columns: str | Sequence[str],
        *,
        algorithm: str,
        salt: str,
        version: HashVersion = 1,
    ) -> None:
        if version not in get_args(HashVersion):
            raise ConfigurationError(f"version must be 1 or 2, not {version!r}")
        name = "sha1" if algorithm.upper() == "SHA" else algorithm.lower()
        name = name.replace("sha-", "sha").replace("sha3-", "sha3_").replace("/", "_")
        try:
            self._seeded = hashlib.new(name, salt.encode(), usedforsecurity=False)
        except ValueError:
            raise ConfigurationError(f"there is no hash algorithm {algorithm!r}") from None
        if not self._seeded.digest_size:
            raise ConfigurationError(f"the hashes of {algorithm!r} have no length of their own")
        super().__init__(columns)
        self._version = version

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, Alter | None]:
        if not matches:
            return column, None
        parameters = (("masked", "true"),)
        if not is_character(relation, column):
            return evolve(column, alteration=Alteration(parameters, None)), None
        length = longest(relation, column)

        def hashed(text: str) -> str:
            digits = self._hash(text)
            return digits[:length] if length else digits

        return evolve(column, alteration=Alteration(parameters, hashed)), on_text(hashed)

    def _hash(self, text: str) -> str:
        hash = self._seeded.copy()
        if self._version == 1:
            hash.update(_serialised(text))
        else:
            hash.update(text.encode("utf-8", "surrogateescape"))
        return hash.hexdigest()


def _serialised(text: str) -> bytes:
    """Return a string as Java's ObjectOutputStream writes it.

    Java Object Serialization Specification, chapter 6: TC_STRING or TC_LONGSTRING, in "modified
    UTF-8", in which each UTF-16 unit is encoded by itself and NUL as two bytes.
    """
    split = "".join(utf16_units(text))
    encoded = split.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
    if len(encoded) <= 0xFFFF:
        return b"\xac\xed\x00\x05t" + len(encoded).to_bytes(2, "big") + encoded
    return b"\xac\xed\x00\x05|" + len(encoded).to_bytes(8, "big") + encoded
