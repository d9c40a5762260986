"""Values at the ends of their types' ranges, and texts that need escapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tests.conformance.workloads.workload import SCHEMAS, Workload

__all__ = ("TIMES", "VALUES")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _rows(table: str, columns: str, values: Iterable[str]) -> str:
    return "".join(f"INSERT INTO {table} ({columns}) VALUES ({each});" for each in values)


# -- dates and times

_TIMESTAMPS: Final = (
    *("0001-01-01 00:00:00", "0001-12-31 23:59:59.999999 BC", "0044-03-15 01:02:03.000001 BC"),
    *("4713-11-24 00:00:00.000001 BC", "1582-10-04 12:00", "1582-10-15 00:00:00"),
    *("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.5", "1970-01-01", "1900-01-01 00:00:01.5"),
    *("2262-04-11 23:47:16.854775", "2262-04-11 23:47:16.854776", "1677-09-21 00:12:43.145225"),
    *("1677-09-21 00:12:44", "1677-09-22 00:00:00", "9999-12-31 23:59:59.999999", "10000-01-01"),
    *("294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775808", "infinity", "-infinity"),
    *("294276-12-31 23:59:59.999999", "2020-02-29 00:00:00.1", "2020-06-15 23:59:60", "epoch"),
    "1500-02-28 01:01:01.01",
)
_TIMES: Final = (
    *("00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001", "12:34:56.789", "01:02:03.1"),
    *("01:02:03.100001", "23:59:60"),
)
_OFFSETS: Final = (
    *("00:00+00", "24:00:00+00", "24:00:00-12", "23:59:59.999999+15:59", "00:00:00.000001-15:59"),
    *("12:34:56.5+05:45", "12:00+14", "00:30+01", "23:30-01", "01:02:03.1234+02"),
)
_DATES: Final = (
    *("0001-01-01", "0001-12-31 BC", "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity"),
    *("1582-10-04", "1582-10-10", "1582-10-15", "1500-02-28", "0004-02-29", "0005-02-28 BC"),
    *("1970-01-01", "1969-12-31", "10000-01-01", "294277-01-01"),
)
_PRECISIONS: Final = ("", *(f"({precision})" for precision in range(7)))


def _of_precisions(type: str) -> str:
    return ", ".join(f"c{i} {type}{precision}" for i, precision in enumerate(_PRECISIONS))


_NAMES: Final = ", ".join(f"c{i}" for i, _ in enumerate(_PRECISIONS))


def _all_precisions(texts: Iterable[str]) -> Iterable[str]:
    return (", ".join([text] * len(_PRECISIONS)) for text in texts)


def _in_utc(text: str) -> str:
    return f"({_quoted(text)}::timestamp AT TIME ZONE 'UTC')"


TIMES: Final = Workload(
    schema=f"""
        CREATE TABLE stamps ({_of_precisions("timestamp")}, a timestamp[], b timestamp(3)[]);
        CREATE TABLE zoned ({_of_precisions("timestamptz")}, a timestamptz[], b timestamptz(1)[]);
        CREATE TABLE times ({_of_precisions("time")}, a time[], b time(2)[]);
        CREATE TABLE offsets ({_of_precisions("timetz")}, a timetz[], b timetz(0)[]);
        CREATE TABLE dates (d date, a date[], r daterange);
    """,
    parts=(
        (
            "stamps",
            _rows("stamps", _NAMES, _all_precisions(map(_quoted, _TIMESTAMPS)))
            + _rows("stamps", "a", (f"ARRAY[{_quoted(x)}, NULL]::timestamp[]" for x in _TIMESTAMPS))
            + _rows("stamps", "b", (f"ARRAY[{_quoted(x)}]::timestamp(3)[]" for x in _TIMESTAMPS)),
        ),
        (
            "zoned",
            _rows("zoned", _NAMES, _all_precisions(map(_in_utc, _TIMESTAMPS)))
            + _rows("zoned", "a, b", (f"ARRAY[{_in_utc(x)}], ARRAY[{_in_utc(x)}]::timestamptz(1)[]"
                                      for x in _TIMESTAMPS)),
        ),
        (
            "times",
            _rows("times", _NAMES, _all_precisions(map(_quoted, _TIMES)))
            + _rows("times", "a, b", (f"ARRAY[{_quoted(x)}, NULL]::time[], ARRAY[{_quoted(x)}]"
                                      "::time(2)[]" for x in _TIMES)),
        ),
        (
            "offsets",
            _rows("offsets", _NAMES, _all_precisions(map(_quoted, _OFFSETS)))
            + _rows("offsets", "a, b", (f"ARRAY[{_quoted(x)}, NULL]::timetz[], ARRAY[{_quoted(x)}]"
                                        "::timetz(0)[]" for x in _OFFSETS)),
        ),
        (
            "dates",
            _rows("dates", "d, a, r", (f"{_quoted(x)}, ARRAY[{_quoted(x)}, NULL]::date[],"
                                       f" daterange({_quoted(x)}, NULL)" for x in _DATES)),
        ),
    ),
    configurations={
        mode: {**SCHEMAS, "time.precision.mode": mode}
        for mode in (
            *("adaptive", "adaptive_time_microseconds", "connect"),
            *("isostring", "microseconds", "nanoseconds"),
        )
    },
)  # fmt: skip

# -- all else

_CONTROLS: Final = "".join(map(chr, (*range(1, 32), *range(127, 160))))
_TEXTS: Final = (
    *("", " ", _CONTROLS, "\u2028\u2029\ufeff\u200b😀\ud7ff\ue000\uffff\U0010ffff\u0301é"),
    *("\\u0000", "\\x00", "NULL", '"', "\\", "</script>", "&lt;", "a\r\nb", '{"a":1}'),
    *("%s %b %d %%", "\\ud800", "\u00a0"),
)
_JSON: Final = (
    *('"\\u0001\\u001f\\u007f"', '"\\u2028"', '"\\ud83d\\ude00"', '{"a":1,"a":2,"\\u00e9":null}'),
    *("[1.0,1e5,-0,1E400,12345678901234567890.12345678901234567890]", '  {  "b" : [ ] }  '),
    *('"\\/\\b\\f"', "null", '""', '"\\\\u0000"'),
)
_NUMBERS: Final = (
    *("0", "-0", "0.000", "1e-20", "1e100", "-1e-100", "NaN", "Infinity", "-Infinity"),
    *("123.4500", "100", "1000000000000000000000", "-1", "-128", "127", "128", "255", "256"),
    *("-129", "0.1", "-0.001", "9" * 200, "0." + "0" * 50 + "1", "1" + "0" * 300 + "." + "1" * 300),
    "-" + "9" * 999,
)
_FLOATS: Final = (
    *("0", "-0", "1", "1e7", "9999999", "1e-3", "9.999e-4", "1.17549435e-38", "1e-45"),
    *("3.4028235e38", "NaN", "Infinity", "-Infinity", "16777216", "0.1", "33554432", "2e-44"),
)
_DOUBLES: Final = (
    *("1e7", "9999999.999999999", "1e-3", "5e-324", "1.7976931348623157e308", "0.1", "1e21"),
    *("2.2250738585072014e-308", "123456789012345680", "1e22", "4.35", "9007199254740993", "-1e-5"),
)
_INTERVALS: Final = (
    *("0", "1 day", "-1 day", "1 year 2 mons 3 days 04:05:06.789012", "1 mon -1 day", "infinity"),
    *("-1 year -2 mons +3 days -04:05:06.789", "178000000 years", "-178000000 years"),
    *("2147483647 days", "-2147483648 days", "2147483647:00:54.775807", "-infinity"),
    *("-2147483647:00:54.775807", "0.000001 sec", "-0.000001 sec", "1 mon 30 days 720:00"),
    *("59.9999999 sec", "00:00:05.94", "1.5 years", "14 mons", "999999 hours", "-00:00:00.5"),
)
_HSTORES: Final = (
    *("", "a=>1", "a=>NULL", '""=>""', '"a b"=>"c\\"d\\\\","é"=>"😀",z=>NULL', '"NULL"=>"NULL"'),
    *('"a=>b"=>", "', ",".join(f"k{i}=>{i}" for i in range(70)), '"\n"=>"\t"'),
    ",".join(f'"{c}"=>"v"' for c in "zyxwvutABCÄ日😀€_-.0123456789"),
    "AaAa=>1,BBBB=>2,AaBB=>3,BBAa=>4",
)


def _array(texts: Sequence[str], type: str) -> str:
    return f"ARRAY[{', '.join(map(_quoted, texts))}, NULL]::{type}[]"


def _texts() -> str:
    return (
        _rows("texts", "a, b, g", (", ".join([_quoted(x)] * 3) for x in _TEXTS))
        + _rows("texts", "c", (_quoted(x[:10]) for x in _TEXTS))
        + _rows("texts", "d, e", (f"{_quoted(x)}, {_quoted(x)}" for x in _JSON))
        + _rows("texts", "f", ("'<a>&lt;é😀</a>'", "'<?xml version=\"1.0\"?><a/>'", "'text only'"))
        + _rows("texts", "h, i", (f"{_array(_TEXTS, 'text')}, {_array(_TEXTS, 'citext')}",))
        + _rows("texts", "j, k", (f"{_array(_JSON, 'json')}, {_array(_JSON, 'jsonb')}",))
        + _rows(
            "texts", "h", ("'{}'", "'{NULL,\"NULL\",null,nUll}'", "'[0:1]={a,b}'", "'{\" \",a b}'")
        )
    )


def _numbers() -> str:
    finite = [x for x in _NUMBERS if x[-1:] not in "Ny"]
    return (
        _rows(
            "numbers", "a, i", (f"{_quoted(x)}, ARRAY[{_quoted(x)}]::numeric[]" for x in _NUMBERS)
        )
        + _rows("numbers", "b", (_quoted(x) for x in ("0", "-1", "9" * 1000, "127", "128", "-128")))
        + _rows("numbers", "c", (_quoted(x) for x in ("0", "1e-1000", "0." + "9" * 1000)))
        + _rows("numbers", "d, j", ("'0.00099999', '{0.00001,NULL}'", "'-0.00000001', '{NaN}'"))
        + _rows("numbers", "e, k", ("'12345', '{12345,-50,NULL}'", "'499', '{}'"))
        + _rows("numbers", "h", map(_quoted, ("-92233720368547758.08", "0", "-0.01", "0.005")))
        + _rows("numbers", "i", (_array(finite, "numeric"), "'{{1,2}}'"))
        + _rows(
            "numbers", "l, n", (f"{_quoted(x)}, ARRAY[{_quoted(x)}]::float4[]" for x in _FLOATS)
        )
        + _rows(
            "numbers", "m, o", (f"{_quoted(x)}, ARRAY[{_quoted(x)}]::float8[]" for x in _DOUBLES)
        )
    )


VALUES: Final = Workload(
    schema="""
        CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
        CREATE TYPE mood AS ENUM ('a', 'b c', 'd,e', 'NULL', '"q"', '{x}', '');
        CREATE TYPE words AS RANGE (subtype = text, multirange_type_name = many_words);
        CREATE TABLE texts (a text, b varchar(100), c char(10), d json, e jsonb, f xml, g citext,
            h text[], i citext[], j json[], k jsonb[]);
        CREATE TABLE numbers (a numeric, b numeric(1000,0), c numeric(1000,1000), d numeric(5,8),
            e numeric(5,-3), h money, i numeric[], j numeric(5,8)[], k numeric(5,-3)[],
            l float4, m float8, n float4[], o float8[]);
        CREATE TABLE spans (a interval, b interval year, c interval month, d interval day,
            e interval hour to second(3), f interval year to month, g interval(0), h interval(6));
        CREATE TABLE bits (id int PRIMARY KEY, a bit(1), c varbit(1), d varbit, e bit(64),
            f bit(65), g varbit(8));
        ALTER TABLE bits REPLICA IDENTITY FULL;
        CREATE TABLE stores (h hstore, l ltree, m hstore[], n ltree[]);
        CREATE TABLE ranges (a int4range, b int8range, c numrange, d tsrange, e tstzrange,
            f daterange, h words, j numrange[], l many_words);
        CREATE TABLE nets (a inet, b cidr, c macaddr, d macaddr8, e inet[], f cidr[], p point,
            t tsvector, o oid, r oid[]);
        CREATE TABLE lists (a int[], b text[], c mood[], e mood, h bytea[], j bool[], k "char"[],
            n char(3)[], p int8[]);
    """,
    parts=(
        ("texts", _texts()),
        ("numbers", _numbers()),
        (
            "spans",
            _rows("spans", "a, b, c, d, e, f, g, h", (", ".join([_quoted(x)] * 8)
                                                      for x in _INTERVALS)),
        ),
        (
            "bits",
            f"""
            INSERT INTO bits VALUES
                (1, '1', '1', '', '{"1" * 64}', '{"0" * 64}1', '10000000'),
                (2, '0', '', '0', '{"0" * 64}', '1{"0" * 64}', ''),
                (3, NULL, '0', '000000001', '{"10" * 32}', '{"01" * 32}1', '1');
            UPDATE bits SET d = '101';
            DELETE FROM bits;
            """,
        ),
        (
            "stores",
            _rows("stores", "h, m", (f"{_quoted(x)}, ARRAY[{_quoted(x)}, NULL]::hstore[]"
                                     for x in _HSTORES))
            + _rows("stores", "l, n", ("'', '{a.b,c}'", "'x_y', '{a,NULL}'", "'A_b.1-2', '{}'")),
        ),
        (
            "ranges",
            r"""
            INSERT INTO ranges VALUES
                ('empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{empty}', '{}'),
                ('(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{"(,)",NULL}', '{(,)}'),
                ('[1,5]', '(1,5]', '[-1.50,NaN]', '["0044-03-15 01:02:03 BC",infinity]',
                 '["2020-01-01 00:00:00.5+05",infinity)', '[-infinity,infinity)',
                 '["a b","c""d,]"]', '{"[1,2]"}', '{[a,b],["c d",e)}');
            """,
        ),
        (
            "nets",
            r"""
            INSERT INTO nets VALUES
                ('1.2.3.4', '10.0.0.0/8', '08002b:010203', '08002b0102030405',
                 '{::1,1.2.3.4/24,NULL}', '{::/0,0.0.0.0/0}', '(NaN,Infinity)',
                 'a:1A,2B b''c:3 ''x y''', '0', '{0,4294967295,NULL}'),
                ('::ffff:1.2.3.4/96', '::1/128', '00:00:00:00:00:00', '08:00:2b:01:02:03', '{}',
                 '{}', '(-0,1e-300)', '', '4294967295', '{}'),
                ('1.2.3.4/32', '1.2.3.4/32', NULL, NULL, NULL, NULL, '(1e300,-1.5)', NULL,
                 '2147483648', NULL);
            """,
        ),
        (
            "lists",
            r"""
            INSERT INTO lists VALUES
                ('{}', '{}', '{}', 'a', '{}', '{}', '{}', '{}', '{}'),
                ('[2:3]={1,NULL}', '{a,NULL,"NULL"}', '{a,"b c","d,e","NULL","\"q\"","{x}",""}',
                 'd,e', '{"\\x",NULL,"\\x00ff"}', '{t,f,NULL}', '{a,NULL," ","\""}', '{a,NULL}',
                 '{9223372036854775807,-9223372036854775808}'),
                ('{{1}}', '{NULL}', '[5:5]={a}', '', '{{"\\x01"}}', '{{t,f},{f,t}}', '{NULL}',
                 '{NULL}', '{{1,2},{3,4}}');
            """,
        ),
    ),
    configurations={
        "plain": SCHEMAS,
        "texts": {
            **SCHEMAS,
            "decimal.handling.mode": "string",
            "hstore.handling.mode": "map",
            "interval.handling.mode": "string",
            "binary.handling.mode": "hex",
            "include.unknown.datatypes": "true",
            "money.fraction.digits": "0",
        },
        "numbers": {
            **SCHEMAS,
            "decimal.handling.mode": "double",
            "binary.handling.mode": "base64-url-safe",
            "money.fraction.digits": "4",
        },
        "unwrapped": {
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "binary.handling.mode": "base64",
        },
    },
)  # fmt: skip
