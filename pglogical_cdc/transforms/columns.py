"""Columns left out, masked, hashed or cut: Debezium's ``column.*`` options.

Columns are named by regular expressions of ``schema.table.column`` that have to match as a whole,
in either case of letters, several with commas between them or one by one.

Keys stay as the server sent them, as in Debezium: a key of a masked or missing column would make
different rows one. Nobody should put into a key what nobody may read.
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

from attrs import evolve

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError
from pglogical_cdc.events import (
    BUILTIN_TYPES,
    Alteration,
    AlteredRow,
    Change,
    Column,
    Delete,
    Insert,
    RawValue,
    Relation,
    Row,
    RowChange,
    SchemaChange,
    SnapshotRead,
    Update,
    base_type,
    below_domains,
)
from pglogical_cdc.name_patterns import NamePatterns
from pglogical_cdc.protocol import BinaryValue

__all__ = (
    "ColumnTransform",
    "ExcludeColumns",
    "HashColumns",
    "HashVersion",
    "IncludeColumns",
    "MaskColumns",
    "TruncateColumns",
)

HashVersion: TypeAlias = Literal[1, 2]

_Alter: TypeAlias = Callable[[RawValue], RawValue]


@record
class _Plan:
    """What becomes of the rows of one version of a table."""

    source: Relation
    relation: Relation
    positions: tuple[int, ...]
    """Indexes in the source's columns of those that stay."""
    alters: tuple[tuple[int, _Alter], ...]
    """Index in the new columns, and what becomes of the values."""


class ColumnTransform(abc.ABC):
    """Base of the transforms of columns: a function from a change to the changed change.

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def __init__(self, columns: str | Sequence[str]) -> None:
        self._patterns = NamePatterns.read("columns", columns)
        self._plans: dict[int, _Plan] = {}

    def __call__(self, change: Change) -> Change:
        """Return the change with its columns as they shall be."""
        if not isinstance(change, RowChange):
            return change
        if isinstance(change, SchemaChange):
            return self._schema_change(change)
        plan = self._plan(change.relation)
        if plan.relation is change.relation:
            return change
        relation = plan.relation
        if isinstance(change, (Insert, SnapshotRead)):
            return evolve(change, relation=relation, after=_altered(plan, change.after))
        if isinstance(change, Update):
            before = None if change.before is None else _altered(plan, change.before)
            return evolve(
                change, relation=relation, before=before, after=_altered(plan, change.after)
            )
        if isinstance(change, Delete):
            return evolve(change, relation=relation, before=_altered(plan, change.before))
        return evolve(change, relation=relation)

    def _schema_change(self, change: SchemaChange) -> Change:
        # In this order the previous version is the one that its rows had.
        previous = self._plan(change.previous).relation
        relation = self._plan(change.relation).relation
        if previous is change.previous and relation is change.relation:
            return change
        return evolve(change, relation=relation, previous=previous)

    def _plan(self, relation: Relation) -> _Plan:
        plan = self._plans.get(relation.oid)
        if plan is None or plan.source is not relation:
            plan = self._plans[relation.oid] = self._make_plan(relation)
        return plan

    def _make_plan(self, relation: Relation) -> _Plan:
        positions: list[int] = []
        columns: list[Column] = []
        alters: list[tuple[int, _Alter]] = []
        for position, column in enumerate(relation.columns):
            matches = self._patterns.match(f"{relation.schema}.{relation.name}.{column.name}")
            made, alter = self._column(relation, column, matches=matches)
            if made is None:
                continue
            if made.alteration is not column.alteration:
                made = evolve(made, alteration=_both(column.alteration, made.alteration))
            if alter is not None:
                alters.append((len(columns), alter))
            positions.append(position)
            columns.append(made)
        if tuple(columns) != relation.columns:
            base = relation.base or relation
            relation_made = evolve(relation, columns=tuple(columns), base=base)
        else:
            relation_made = relation
        return _Plan(relation, relation_made, tuple(positions), tuple(alters))

    @abc.abstractmethod
    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, _Alter | None]:
        """Return what becomes of a column, None if it is left out, and of its values."""


def _both(first: Alteration | None, second: Alteration | None) -> Alteration | None:
    """Return what two transforms do, one after the other."""
    if first is None or second is None:
        return first or second
    before, after = first.alter or _same, second.alter or _same
    instead = second.instead
    if instead is None and first.instead is not None:
        instead = after(first.instead)
    return Alteration(
        parameters=tuple({**dict(first.parameters), **dict(second.parameters)}.items()),
        alter=lambda text: after(before(text)),
        instead=instead,
    )


def _same(text: str) -> str:
    return text


def _altered(plan: _Plan, row: Row) -> Row:
    raw = [row.raw[position] for position in plan.positions]
    for position, alter in plan.alters:
        raw[position] = alter(raw[position])
    return AlteredRow(plan.relation, raw, row)


class ExcludeColumns(ColumnTransform):
    """Leaves columns out (``column.exclude.list``).

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, _Alter | None]:
        return None if matches else column, None


class IncludeColumns(ColumnTransform):
    """Leaves out all other columns, of every table (``column.include.list``).

    Args:
        columns: regular expressions of ``schema.table.column``.

    Raises:
        ConfigurationError: one is no regular expression.
    """

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, _Alter | None]:
        return column if matches else None, None


# -- text

_CHARACTERS: Final = frozenset(("text", "varchar", "bpchar", "char", "name"))
_TEXT: Final = _CHARACTERS | frozenset(
    (
        *("citext", "json", "jsonb", "xml", "uuid", "inet", "cidr", "macaddr", "macaddr8"),
        *("ltree", "tsvector", "int4range", "int8range", "numrange", "tsrange", "tstzrange"),
        *("daterange", "isbn"),
    )
)
"""Types whose text is what a format writes."""
_BUILTIN_NAMES: Final = frozenset(BUILTIN_TYPES.values())


def _is_character(relation: Relation, column: Column) -> bool:
    """Tell whether a column is of a character type, an enum, or a domain over one.

    A type that the catalog does not have counts as one: it may be an enum, and nobody shall read
    what was to be hidden.
    """
    oid, _modifier, found = below_domains(column, relation.catalog)
    if found is not None:
        return found.kind == "e"
    name = base_type(relation, column)[0]
    return name in _CHARACTERS or (oid not in BUILTIN_TYPES and name not in _BUILTIN_NAMES)


def _is_text(relation: Relation, column: Column) -> bool:
    """Tell whether a column's values are written as their text."""
    _oid, _modifier, found = below_domains(column, relation.catalog)
    name = base_type(relation, column)[0] if found is None else found.name
    return _is_character(relation, column) or name in _TEXT


def _on_text(alter: Callable[[str], str]) -> _Alter:
    """Return what does to wire values what a function does to text; absent ones stay absent."""

    def altered(value: RawValue) -> RawValue:
        if not isinstance(value, bytes):
            return value
        text = alter(value.decode("utf-8", "surrogateescape"))
        return type(value)(text.encode("utf-8", "surrogateescape"))

    return altered


def _longest(relation: Relation, column: Column) -> int:
    """Return how many characters the type of a column allows; 0 if any number."""
    name, modifier = base_type(relation, column)
    if name == "char":
        return 1
    return modifier - 4 if name in ("varchar", "bpchar") and modifier >= 4 else 0


def _cut(text: str, length: int) -> str:
    """Return the beginning of a text: so many UTF-16 units at most, and no half characters."""
    if len(text) <= length and text.isascii():
        return text
    encoded = text.encode("utf-16-le", "surrogatepass")[: 2 * length]
    if len(encoded) >= 2 and 0xD8 <= encoded[-1] <= 0xDB:
        encoded = encoded[:-2]
    return encoded.decode("utf-16-le", "surrogatepass")


class MaskColumns(ColumnTransform):
    """Writes asterisks instead of values (``column.mask.with.<chars>.chars``).

    As in Debezium, columns of character types, enums and domains over them are masked, NULL
    included, and **all others are left as they are**: leave those out with `ExcludeColumns`.

    Args:
        columns: regular expressions of ``schema.table.column``.
        chars: how many asterisks; 0 for an empty string.

    Raises:
        ConfigurationError: an expression is none, or `chars` is negative.
    """

    def __init__(self, columns: str | Sequence[str], *, chars: int) -> None:
        if chars < 0:
            raise ConfigurationError(f"chars must be 0 or more, not {chars}")
        super().__init__(columns)
        self._mask = "*" * chars

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, _Alter | None]:
        if not matches:
            return column, None
        parameters = (("masked", "true"),)
        if not _is_character(relation, column):
            return evolve(column, alteration=Alteration(parameters, None)), None
        mask = self._mask
        raw = mask.encode()

        def masked(value: RawValue) -> RawValue:
            if value is None:
                return raw
            return type(value)(raw) if isinstance(value, bytes) else value

        alteration = Alteration(parameters, lambda text: mask, mask)
        return evolve(column, alteration=alteration), masked


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
    ) -> tuple[Column | None, _Alter | None]:
        if not matches:
            return column, None
        parameters = (("masked", "true"),)
        if not _is_character(relation, column):
            return evolve(column, alteration=Alteration(parameters, None)), None
        longest = _longest(relation, column)

        def hashed(text: str) -> str:
            digits = self._hash(text)
            return digits[:longest] if longest else digits

        return evolve(column, alteration=Alteration(parameters, hashed)), _on_text(hashed)

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
    units = text.encode("utf-16-le", "surrogatepass")
    split = "".join(
        chr(int.from_bytes(units[i : i + 2], "little")) for i in range(0, len(units), 2)
    )
    encoded = split.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
    if len(encoded) <= 0xFFFF:
        return b"\xac\xed\x00\x05t" + len(encoded).to_bytes(2, "big") + encoded
    return b"\xac\xed\x00\x05|" + len(encoded).to_bytes(8, "big") + encoded


class TruncateColumns(ColumnTransform):
    """Cuts text and bytes off (``column.truncate.to.<chars>.chars``).

    That goes for every type that is written as its text (character types, enums, JSON, XML,
    ``uuid``, network addresses, ranges and the like), in UTF-16 units as in Debezium but never in
    the middle of a character, and for ``bytea``, in bytes. Other types are left as they are.

    Args:
        columns: regular expressions of ``schema.table.column``.
        chars: the length.

    Raises:
        ConfigurationError: an expression is none, or `chars` is not more than 0.
    """

    def __init__(self, columns: str | Sequence[str], *, chars: int) -> None:
        if chars < 1:
            raise ConfigurationError(f"chars must be 1 or more, not {chars}")
        super().__init__(columns)
        self._length = chars

    def _column(
        self, relation: Relation, column: Column, *, matches: bool
    ) -> tuple[Column | None, _Alter | None]:
        if not matches:
            return column, None
        parameters = (("truncateLength", str(self._length)),)
        if base_type(relation, column)[0] == "bytea":
            return evolve(column, alteration=Alteration(parameters, None)), self._cut_bytes
        is_character = _is_character(relation, column)
        if not _is_text(relation, column):
            return evolve(column, alteration=Alteration(parameters, None)), None

        def cut(text: str) -> str:
            return _cut(text, self._length)

        on_text = _on_text(cut)

        def cut_value(value: RawValue) -> RawValue:
            # In binary form only character types are their text.
            return value if isinstance(value, BinaryValue) and not is_character else on_text(value)

        return evolve(column, alteration=Alteration(parameters, cut)), cut_value

    def _cut_bytes(self, value: RawValue) -> RawValue:
        if not isinstance(value, bytes):
            return value
        if isinstance(value, BinaryValue):
            return BinaryValue(value[: self._length])
        return value[: 2 + 2 * self._length]  # \x and two digits each
