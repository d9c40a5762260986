"""RowKey: by which columns the rows of a table are told apart, and how the server compares them.

By the operators of the index itself (``pg_amop``), whatever the search path has: those of its own
order, under its own collations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from pglogical_cdc._attrs import record
from pglogical_cdc.postgres import Conversation
from pglogical_cdc.snapshot.selection import SelectedTable

__all__ = ("KeyColumn", "RowKey", "row_key")

_PLAIN: Final = frozenset(
    # boolean, bytea, char, name, int8, int2, int4, text, oid, macaddr, varchar, date, time,
    # timestamp, timestamptz, uuid, pg_lsn
    (16, 17, 18, 19, 20, 21, 23, 25, 26, 829, 1043, 1082, 1083, 1114, 1184, 2950, 3220)
)
"""Types whose values are equal exactly if their bytes are, under a deterministic collation."""


@record
class KeyColumn:
    """A column of a key."""

    name: str
    type_oid: int
    array_oid: int
    is_plain: bool
    """Whether values are equal exactly if their bytes are."""
    collation: tuple[str, str] | None
    """Schema and name."""
    less: tuple[str, str]
    """Schema and name of the operator; so the other two."""
    equal: tuple[str, str]
    greater: tuple[str, str]

    def collated(self, expression: sql.Composable) -> sql.Composable:
        """Return an expression under the collation of the column in the index."""
        if self.collation is None:
            return expression
        return sql.SQL("({} COLLATE {})").format(expression, sql.Identifier(*self.collation))

    @property
    def expression(self) -> sql.Composable:
        """The column, in the order of the index."""
        return self.collated(sql.Identifier(self.name))


@record
class RowKey:
    """The key of a table."""

    columns: tuple[KeyColumn, ...]

    @property
    def is_plain(self) -> bool:
        """Whether keys are equal exactly if their bytes are."""
        return all(column.is_plain for column in self.columns)

    @property
    def text(self) -> str:
        """What tells it from other keys of the table, as text."""
        return json.dumps(
            [[column.name, column.type_oid, *(column.collation or ())] for column in self.columns]
        )

    @property
    def types(self) -> list[int]:
        """OIDs of the types of the columns."""
        return [column.type_oid for column in self.columns]

    @property
    def order(self) -> sql.Composed:
        """What stands behind ORDER BY."""
        return sql.SQL(", ").join(
            sql.SQL("{} USING {}").format(column.expression, _operator(column.less))
            for column in self.columns
        )

    def is_after(self, first: int) -> sql.Composable:
        """Return the condition that a row comes after the key in some parameters.

        Args:
            first: number of the first of them.
        """
        greater = {column.greater for column in self.columns}
        mine = [column.expression for column in self.columns]
        theirs = _parameters(first, len(mine))
        if len(greater) == 1:
            # An index can be searched for that.
            return sql.SQL("ROW({}) {} ROW({})").format(
                sql.SQL(", ").join(mine), _operator(*greater), sql.SQL(", ").join(theirs)
            )
        condition: sql.Composable = sql.SQL("false")
        for column, one, other in reversed(list(zip(self.columns, mine, theirs, strict=True))):
            greater_one = sql.SQL("{} {} {}").format(one, _operator(column.greater), other)
            equal_one = sql.SQL("{} {} {}").format(one, _operator(column.equal), other)
            condition = sql.SQL("({} OR {} AND {})").format(greater_one, equal_one, condition)
        return condition

    def is_equal(self, first: int) -> sql.Composed:
        """Return the condition that a row has the key in some parameters.

        Args:
            first: number of the first of them.
        """
        theirs = _parameters(first, len(self.columns))
        return self.equal([column.expression for column in self.columns], theirs)

    def equal(
        self, mine: Sequence[sql.Composable], theirs: Sequence[sql.Composable]
    ) -> sql.Composed:
        """Return the condition that two keys are equal."""
        return sql.SQL("({})").format(
            sql.SQL(" AND ").join(
                sql.SQL("{} {} {}").format(one, _operator(column.equal), other)
                for column, one, other in zip(self.columns, mine, theirs, strict=True)
            )
        )


def _operator(name: tuple[str, str]) -> sql.Composable:
    return sql.SQL("OPERATOR({}.{})").format(sql.Identifier(name[0]), sql.SQL(name[1]))


def _parameters(first: int, count: int) -> list[sql.Composable]:
    return [sql.SQL(f"${number}") for number in range(first, first + count)]


# Of the replica identity first: old keys in the stream have its columns and no others.
_KEY: Final = """\
SELECT pg_catalog.json_build_array(
  a.attname, a.atttypid::pg_catalog.int8, t.typarray::pg_catalog.int8,
  b.typtype, b.oid::pg_catalog.int8,
  oc.opcdefault AND coalesce(l.collisdeterministic, true),
  l.nspname, l.collname,
  o.less, o.equal, o.greater
)::pg_catalog.text
FROM (
  SELECT i.* FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
  JOIN pg_catalog.pg_class r ON r.oid = i.indrelid
  WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NULL
    AND CASE r.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary
      ELSE true END
    AND NOT EXISTS (
      SELECT FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) AS k(attnum)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE a.attname <> ALL ({columns}) OR NOT a.attnotnull OR EXISTS (
        SELECT FROM pg_catalog.pg_constraint c
        WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND NOT c.convalidated
          AND c.conkey = ARRAY[a.attnum]
      )
    )
  ORDER BY i.indisprimary DESC, x.relname LIMIT 1
) i
CROSS JOIN LATERAL ROWS FROM (
  pg_catalog.unnest(i.indkey::pg_catalog.int2[]),
  pg_catalog.unnest(i.indclass::pg_catalog.oid[]),
  pg_catalog.unnest(i.indcollation::pg_catalog.oid[])
) WITH ORDINALITY AS k(attnum, opclass, coll, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
  WITH RECURSIVE base(oid, typtype, below) AS (
    SELECT t.oid, t.typtype, t.typbasetype
    UNION ALL
    SELECT d.oid, d.typtype, d.typbasetype FROM base
    JOIN pg_catalog.pg_type d ON base.typtype = 'd' AND d.oid = base.below
  )
  SELECT base.oid, base.typtype FROM base WHERE base.typtype <> 'd'
) b
JOIN pg_catalog.pg_opclass oc ON oc.oid = k.opclass
LEFT JOIN (
  SELECT c.oid, n.nspname, c.collname, c.collisdeterministic
  FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
) l ON l.oid = k.coll
CROSS JOIN LATERAL (
  SELECT
    pg_catalog.min(pg_catalog.json_build_array(n.nspname, o.oprname)::pg_catalog.text)
      FILTER (WHERE p.amopstrategy = 1)::pg_catalog.json AS less,
    pg_catalog.min(pg_catalog.json_build_array(n.nspname, o.oprname)::pg_catalog.text)
      FILTER (WHERE p.amopstrategy = 3)::pg_catalog.json AS equal,
    pg_catalog.min(pg_catalog.json_build_array(n.nspname, o.oprname)::pg_catalog.text)
      FILTER (WHERE p.amopstrategy = 5)::pg_catalog.json AS greater
  FROM pg_catalog.pg_amop p
  JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  WHERE p.amopfamily = oc.opcfamily AND p.amopmethod = oc.opcmethod
    AND p.amoplefttype = oc.opcintype AND p.amoprighttype = oc.opcintype
) o
WHERE k.place <= i.indnkeyatts
ORDER BY k.place"""


def row_key(table: SelectedTable) -> Conversation[RowKey | None]:
    """Return the key of a table by which its rows can be read piece by piece.

    That is a unique index whose columns are published, are never NULL, and are in the old keys of
    the stream; None if there is none.
    """
    columns = sql.SQL("ARRAY[{}]::pg_catalog.name[]").format(
        sql.SQL(", ").join(map(sql.Literal, sorted(table.columns)))
    )
    rows = yield sql.SQL(_KEY).format(oid=sql.Literal(table.oid), columns=columns)
    found = []
    for (text,) in rows:
        name, oid, array, kind, base, usual, schema, collation, less, equal, greater = json.loads(
            text
        )
        found.append(
            KeyColumn(
                name=name,
                type_oid=oid,
                array_oid=array,
                # An array has no array type, in which many could be sent to be compared. What the
                # stream tells first of a row that was read are the very bytes that were read.
                is_plain=array == 0 or (usual and (kind == "e" or base in _PLAIN)),
                collation=None if schema is None else (schema, collation),
                less=tuple(less),
                equal=tuple(equal),
                greater=tuple(greater),
            )
        )
    return RowKey(tuple(found)) if found else None
