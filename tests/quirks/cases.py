"""Inputs that stop Debezium, or that it loses or bends, as SQL that shows them.

`tests.quirks.page` makes the documentation's page of them, with what our formatter writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

__all__ = ("BENT", "IN_SNAPSHOTS", "STOPPING", "Quirk")


@frozen
class Quirk:
    """One of Debezium's quirks."""

    name: str
    text: str
    """What happens, in Markdown."""
    ddl: str
    """The table, called ``p``, and what it needs."""
    sql: str
    options: Mapping[str, Any] = field(factory=dict)
    """Options of the formatter."""
    shown: int = 1
    """How many of the last records the page shows."""
    minimum: int = 14
    """The first version of PostgreSQL that has it."""
    afterwards: str = ""
    """SQL to run before the changes are read."""
    snapshot: bool = False
    """Whether the rows are read by a snapshot."""
    garbage: bool = False
    """Whether Debezium writes an identity of a Java object there."""


_TEXT: Final = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300) g)"

STOPPING: Final[Sequence[Quirk]] = (
    Quirk(
        "A domain over an enum",
        "Debezium stops at startup, whether or not a table uses the domain: a "
        "`NullPointerException` while it reads the types. Here the column is an enum.",
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN dmood AS mood;"
        " CREATE TABLE p (id int PRIMARY KEY, x dmood)",
        "INSERT INTO p VALUES (1, 'b')",
    ),
    Quirk(
        "An offset with seconds in `timetz`",
        "Debezium stops: `DateTimeParseException`. Here the time is written in UTC, exact.",
        "CREATE TABLE p (id int PRIMARY KEY, x timetz)",
        "INSERT INTO p VALUES (1, '01:02:03-00:00:30')",
    ),
    Quirk(
        "`NaN` and infinity of a `numeric` that is NOT NULL, `precise`",
        "Debezium stops: `ConnectException: Got a special value (NaN/Infinity) for Decimal type`. "
        'Here it is the string that `decimal_handling_mode="string"` writes, and the schema of '
        "that record says string.",
        "CREATE TABLE p (x numeric PRIMARY KEY, y numeric(10,2) NOT NULL)",
        "INSERT INTO p VALUES ('-Infinity', 'NaN')",
    ),
    Quirk(
        "An array of `bit` that is NOT NULL",
        "Debezium takes the column for a single bit string and has no value for it: "
        "`DataException: Invalid value: null used for required field`. Here it is an array of "
        "what its elements are alone.",
        "CREATE TABLE p (id int PRIMARY KEY, x bit(3)[] NOT NULL)",
        "INSERT INTO p VALUES (1, '{101,NULL}')",
    ),
    Quirk(
        "An empty `varbit(1)` that is NOT NULL",
        "It is no boolean, and for that Debezium stops: `DataException`. Here it is an empty "
        "string, and the schema of that record says so.",
        "CREATE TABLE p (id int PRIMARY KEY, x varbit(1) NOT NULL)",
        "INSERT INTO p VALUES (1, '')",
    ),
    Quirk(
        "`NaN` in an array of `numeric` that is NOT NULL",
        "It makes the whole array null, and for that Debezium stops: `DataException`. Here that "
        "element is null. So it is with an empty `oidvector` that is NOT NULL, which is `[]` here.",
        "CREATE TABLE p (id int PRIMARY KEY, x numeric[] NOT NULL)",
        "INSERT INTO p VALUES (1, '{1,NaN}')",
    ),
    Quirk(
        "A NULL in an array of enums that is NOT NULL",
        "The NULL makes the whole array null, and for that Debezium stops: `DataException`. Here "
        "the array is written. So it is with arrays of `tsvector`, `ltree`, `isbn`, the vectors, "
        "and of unknown types.",
        "CREATE TYPE mood AS ENUM ('a', 'b');"
        " CREATE TABLE p (id int PRIMARY KEY, x mood[] NOT NULL)",
        "INSERT INTO p VALUES (1, '{a,NULL}')",
    ),
    Quirk(
        "An unchanged TOASTed array that is NOT NULL",
        "For most types of arrays Debezium has no placeholder and no value either: "
        "`DataException`. Here it is null, which the schema of that record allows; `faithful` "
        "leaves it out.",
        "CREATE TABLE p (id int PRIMARY KEY, s int, x float8[] NOT NULL, y timestamptz[] NOT NULL)",
        "INSERT INTO p SELECT 1, 1, array_agg(g / 7.0),"
        " array_agg('2024-01-01'::timestamptz + g * interval '1.234567h')"
        " FROM generate_series(1, 2000) g; UPDATE p SET s = 2",
    ),
    Quirk(
        "A column of type `name` that is NOT NULL",
        "A `name` has no value when it streams (see below), and for that Debezium stops. Here it "
        "is written.",
        "CREATE TABLE p (id int PRIMARY KEY, x name NOT NULL)",
        "INSERT INTO p VALUES (1, 'pg_class')",
    ),
    Quirk(
        "An `interval` of more than 2147483647 hours",
        "Debezium stops: `NumberFormatException`. Here it is written like any other. (PostgreSQL "
        "14 cannot send it.)",
        "CREATE TABLE p (id int PRIMARY KEY, x interval)",
        "INSERT INTO p VALUES (1, interval '2147483647 hours' + interval '1 hour')",
        minimum=15,
    ),
    Quirk(
        "A timestamp out of range in `nanoseconds`, NOT NULL",
        "What does not fit into 64 bits is null, and for that Debezium stops. Here it is the "
        'string of `time_precision_mode="isostring"`, and the schema of that record says so.',
        "CREATE TABLE p (id int PRIMARY KEY, x timestamp NOT NULL)",
        "INSERT INTO p VALUES (1, '9999-12-31')",
        {"time_precision_mode": "nanoseconds"},
    ),
    Quirk(
        "A table that is gone when its rows are read",
        "Nothing of its catalog is left. Debezium goes on with a null key, and leaves out columns "
        "of a type that is gone as well. Here the key is the replica identity, which the stream "
        "has; `faithful` does the same.",
        "CREATE TYPE mood AS ENUM ('a');"
        " CREATE TABLE p (id int PRIMARY KEY, a int NOT NULL, x mood)",
        "INSERT INTO p VALUES (1, 1, 'a')",
        afterwards="DROP TABLE p; DROP TYPE mood",
    ),
)
"""Inputs after which the connector delivers nothing more, and one beside them."""

BENT: Final[Sequence[Quirk]] = (
    Quirk(
        "`name`",
        "A streamed `name` is null; only snapshots have it.",
        "CREATE TABLE p (id int PRIMARY KEY, x name)",
        "INSERT INTO p VALUES (1, 'pg_class')",
    ),
    Quirk(
        "`NULL` in a column with a default",
        "The converter writes the default, which the row may never have had. "
        "`replace_null_with_default=False` keeps NULL, as the converter's option does.",
        "CREATE TABLE p (id int PRIMARY KEY, x int DEFAULT 5)",
        "INSERT INTO p VALUES (1, NULL)",
    ),
    Quirk(
        "The old row of a delete",
        "The server sends the key alone. Debezium fills the other columns with null, with the "
        "zero of their type where they are NOT NULL, or with their default.",
        "CREATE TABLE p (id int PRIMARY KEY, a int, b int NOT NULL, c text NOT NULL,"
        " d int DEFAULT 7)",
        "INSERT INTO p VALUES (1, 2, 3, 'four', 5); DELETE FROM p",
    ),
    Quirk(
        "The key where the replica identity is another index",
        "The server does not send the primary key of a deleted row, so that Debezium's key is "
        "zero: no tombstone forgets the row. An update that changes a column of that index is "
        "split for the same reason. `faithful` takes the index for the key, from the first record "
        "of a row to its last.",
        "CREATE TABLE p (id int PRIMARY KEY, u int NOT NULL UNIQUE);"
        " ALTER TABLE p REPLICA IDENTITY USING INDEX p_u_key",
        "INSERT INTO p VALUES (1, 10); DELETE FROM p",
        shown=3,
    ),
    Quirk(
        "A key that identifies no row",
        "Without a primary key the first unique index is the key (first one that the table is "
        "clustered by, then by name), also if it is partial, not valid or over columns that may be "
        "NULL; and the columns that it includes are in the key too. `faithful` takes the first "
        "that identifies a row.",
        "CREATE TABLE p (a int, id int NOT NULL); CREATE UNIQUE INDEX p_a ON p (a);"
        " CREATE UNIQUE INDEX p_id ON p (id)",
        "INSERT INTO p VALUES (NULL, 1), (NULL, 2)",
        shown=2,
    ),
    Quirk(
        "A key of types that Debezium does not know",
        "They are left out of the key as well, which may leave nothing of it: all rows have the "
        "same key then. With `faithful` such a table has no key. "
        "`include_unknown_datatypes=True` keeps them.",
        "CREATE TABLE p (x int4multirange PRIMARY KEY, y int)",
        "INSERT INTO p VALUES ('{[1,2)}', 1)",
    ),
    Quirk(
        "An unchanged TOASTed value",
        "The placeholder stands for it where the type can hold it. Elsewhere the value looks like "
        "NULL, or its bytes look like numbers. `faithful` writes it where it is what it says, and "
        "leaves the value out elsewhere.",
        "CREATE TABLE p (id int PRIMARY KEY, s int, a text, b bytea, c int[], d float8[],"
        " e uuid[], f hstore)",
        f"INSERT INTO p SELECT 1, 1, {_TEXT}, decode({_TEXT}, 'hex'),"
        " (SELECT array_agg(g * 7919) FROM generate_series(1, 2000) g),"
        " (SELECT array_agg(g / 7.0) FROM generate_series(1, 2000) g),"
        " (SELECT array_agg(md5(g::text)::uuid) FROM generate_series(1, 400) g),"
        f" hstore('k', {_TEXT}); UPDATE p SET s = 2",
    ),
    Quirk(
        "`NaN` and infinity of `numeric`, `precise`",
        "They are null, and one in an array makes the whole array null, in the other modes too. In "
        "an array `faithful` writes null for that element, because all have one schema; in the "
        "other modes it has a value.",
        "CREATE TABLE p (id int PRIMARY KEY, x numeric, y numeric(10,2), z numeric[])",
        "INSERT INTO p VALUES (1, '-Infinity', 'NaN', '{1,NaN}')",
    ),
    Quirk(
        "`NaN` and infinity of `numeric`, `string`",
        "They are words of Debezium's own.",
        "CREATE TABLE p (id int PRIMARY KEY, x numeric, y numeric(10,2))",
        "INSERT INTO p VALUES (1, '-Infinity', 'NaN')",
        {"decimal_handling_mode": "string"},
    ),
    Quirk(
        "A negative scale",
        "Debezium reads it without its sign, as 2046: the unscaled number has that many digits "
        'behind the point, as has the string of `decimal_handling_mode="string"`.',
        "CREATE TABLE p (id int PRIMARY KEY, x numeric(5,-2), y numeric(5,-2)[])",
        "INSERT INTO p VALUES (1, 12345, '{12345}'), (2, -50, '{-50}')",
        minimum=15,
    ),
    Quirk(
        "Infinity and the ends of the range of dates and timestamps",
        "Infinity is a number that is no end of anything. What does not fit into 64 bits of "
        "microseconds is the last that does, and the fraction of its second makes that the first; "
        '`faithful` writes the string of `time_precision_mode="isostring"` there.',
        "CREATE TABLE p (id int PRIMARY KEY, a date, b timestamp, c timestamp(3), d timestamptz,"
        " e timestamp, f timestamp)",
        "INSERT INTO p VALUES (1, 'infinity', 'infinity', '-infinity', 'infinity',"
        " '294276-12-31 23:59:59', '294276-12-31 23:59:59.5')",
    ),
    Quirk(
        "`timestamp` in `nanoseconds`",
        "What does not fit into 64 bits, as all after the year 2262, is null.",
        "CREATE TABLE p (id int PRIMARY KEY, x timestamp, y timestamp)",
        "INSERT INTO p VALUES (1, '9999-12-31', '-infinity')",
        {"time_precision_mode": "nanoseconds"},
    ),
    Quirk(
        "`timetz` of 24:00",
        "It is the start of the day, here as well: in UTC no time is 24:00.",
        "CREATE TABLE p (id int PRIMARY KEY, x timetz)",
        "INSERT INTO p VALUES (1, '24:00:00+00')",
    ),
    Quirk(
        "`interval` as a number",
        "A month is 30.4375 days and a year 365.25. The arithmetic is of doubles, which may lose "
        "a microsecond. Infinity is 0, and what does not fit into 64 bits is the last that does.",
        "CREATE TABLE p (id int PRIMARY KEY, x interval, y interval, z interval)",
        "INSERT INTO p VALUES (1, '1 mon', '00:00:00.000249', '178000000 years')",
    ),
    Quirk(
        "`interval` as a string",
        "The seconds are a double that is cut off after nine digits; infinity is no time at all.",
        "CREATE TABLE p (id int PRIMARY KEY, x interval, y interval)",
        "INSERT INTO p VALUES (1, 'infinity', '00:00:05.94')",
        {"interval_handling_mode": "string"},
        minimum=17,
    ),
    Quirk(
        "Times in arrays",
        "Arrays of `time` keep milliseconds only, and 24:00 is 0; arrays of `timetz` keep whole "
        "seconds.",
        "CREATE TABLE p (id int PRIMARY KEY, x time[], y timetz[])",
        "INSERT INTO p VALUES (1, '{01:02:03.123456,24:00}', '{01:02:03.9+02}')",
    ),
    Quirk(
        "Dates and timestamps in arrays",
        "Before 1582 they are in the Julian calendar, before year 1 they lose the era, and "
        "infinity is the end of Java's range. A 29 February before year 1 makes an array of `date` "
        "or `timestamptz` null.",
        "CREATE TABLE p (id int PRIMARY KEY, x date[], y timestamp[], z timestamptz[])",
        "INSERT INTO p VALUES (1, ARRAY['1500-03-01', '0044-03-15 BC', 'infinity']::date[],"
        " ARRAY['1500-03-01', 'infinity']::timestamp[],"
        " ARRAY['1500-03-01 00:00+00', 'infinity']::timestamptz[])",
    ),
    Quirk(
        "Arrays of arrays of numbers",
        "Each inner array is null. So it is with every type whose values are no strings.",
        "CREATE TABLE p (id int PRIMARY KEY, x int[], y float8[])",
        "INSERT INTO p VALUES (1, '{{1,2},{3,4}}', '{{1.5},{2.5}}')",
    ),
    Quirk(
        "Arrays of arrays of text",
        "Each inner array is the name of a Java class and a number that differs from run to run. "
        "No other program can write that; here it is PostgreSQL's text of the inner array. "
        "`faithful` writes arrays of arrays, with a schema that says so.",
        "CREATE TABLE p (id int PRIMARY KEY, x text[])",
        "INSERT INTO p VALUES (1, '{{a,b},{c,NULL}}')",
        garbage=True,
    ),
    Quirk(
        "Arrays that do not begin at 1",
        "Where they begin is lost, here as well: JSON has no place for it.",
        "CREATE TABLE p (id int PRIMARY KEY, x int[])",
        "INSERT INTO p VALUES (1, '[5:6]={1,2}')",
    ),
    Quirk(
        "Arrays of bit strings",
        "They are null.",
        "CREATE TABLE p (id int PRIMARY KEY, x bit(3)[])",
        "INSERT INTO p VALUES (1, '{101,010}')",
    ),
    Quirk(
        "A NULL in arrays of enums and others",
        "It makes the array null: of enums, `ltree`, `tsvector`, `isbn` and the vectors.",
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE p (id int PRIMARY KEY, x mood[])",
        "INSERT INTO p VALUES (1, '{a,NULL}')",
    ),
    Quirk(
        "Arrays of types that Debezium has no array of",
        "The columns are left out, whatever `include_unknown_datatypes` says. So it is with arrays "
        "of `xml` and `refcursor`.",
        "CREATE TABLE p (id int PRIMARY KEY, a money[], b name[], c interval[], d varbit[],"
        " e point[])",
        "INSERT INTO p VALUES (1, '{$1.50}', '{n}', '{1 day}', '{101}', '{\"(1,2)\"}')",
    ),
    Quirk(
        "`oidvector` and `int2vector`",
        "Debezium takes them for arrays in braces: one with numbers is an array without any, an "
        "empty one is null. Of their arrays, and of those of `sparsevec`, only empty ones are not "
        "null; and a `sparsevec` of more than 32767 dimensions is null.",
        "CREATE TABLE p (id int PRIMARY KEY, x oidvector, y int2vector, z int2vector[])",
        "INSERT INTO p VALUES (1, '1 2', '', '{1 2}')",
    ),
    Quirk(
        "An empty `varbit(1)`",
        "The type is written as a boolean, and empty is neither: it is null. `faithful` writes an "
        "empty string, and the schema of such a record says so.",
        "CREATE TABLE p (id int PRIMARY KEY, x varbit(1))",
        "INSERT INTO p VALUES (1, '')",
    ),
    Quirk(
        "Types that Debezium does not know",
        "Their columns are left out: geometric types but `point`, composite types, multiranges, "
        "`xid8` and more. `faithful` leaves that to `include_unknown_datatypes`.",
        "CREATE TABLE p (id int PRIMARY KEY, x box, y int4multirange)",
        "INSERT INTO p VALUES (1, '(2,2),(0,0.5)', '{[1,3)}')",
    ),
    Quirk(
        "Types that Debezium does not know, included",
        "They are the bytes of their text. Of geometric types it is the JDBC driver's text, not "
        "the server's.",
        "CREATE TABLE p (id int PRIMARY KEY, x box, y xid8)",
        "INSERT INTO p VALUES (1, '(2,2),(0,0.5)', '5')",
        {"include_unknown_datatypes": True, "binary_handling_mode": "hex"},
    ),
    Quirk(
        "Functions as defaults",
        "A function counts as the zero of its type, any other expression as the first string "
        "constant in it, and so does the expression of a generated column. It shows where NULL is "
        "written as the default, and in schemas.",
        "CREATE TABLE p (id int PRIMARY KEY, x date DEFAULT now(), y text DEFAULT 'a' || 'b',"
        " z int DEFAULT abs(-1))",
        "INSERT INTO p VALUES (1, NULL, NULL, NULL)",
    ),
)
"""What the connector writes, but not as it was; it is written the same here by default."""

IN_SNAPSHOTS: Final[Sequence[Quirk]] = (
    Quirk(
        "Dates in a snapshot",
        "They are as those in arrays, also in keys, so that a row may have another key than in the "
        "stream. 29 February before year 1 is null; where the column is NOT NULL Debezium stops "
        "for that, and here it is written.",
        "CREATE TABLE p (id int PRIMARY KEY, a date, b date, c date, d date)",
        "INSERT INTO p VALUES (1, '0044-03-15 BC', '0005-02-29 BC', '1582-10-10', 'infinity')",
        snapshot=True,
    ),
    Quirk(
        "Dates in a snapshot, `isostring`",
        "The era is lost there as well.",
        "CREATE TABLE p (d date PRIMARY KEY)",
        "INSERT INTO p VALUES ('0044-03-15 BC'), ('-infinity')",
        {"time_precision_mode": "isostring"},
        shown=2,
        snapshot=True,
    ),
    Quirk(
        "`name` in a snapshot",
        "It is there. An event of the stream has none for the same row.",
        "CREATE TABLE p (id int PRIMARY KEY, x name)",
        "INSERT INTO p VALUES (1, 'pg_class')",
        snapshot=True,
    ),
)
"""Rows of a snapshot that are not what the connector streams of them."""
