-- Tables of every type, with procedures that fill them. What is between \if :has_vector and \endif
-- needs the extension pgvector.
CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS isn;
\if :has_vector
CREATE EXTENSION IF NOT EXISTS vector;
\endif
CREATE TYPE mood AS ENUM ('sad','ok','happy','it''s "q"');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN dnum AS numeric(8,3);
CREATE TYPE addr AS (street text, num int, zip varchar(5));
CREATE TABLE types_scalar (
 id bigint PRIMARY KEY,
 c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_float4 float4, c_float8 float8,
 c_numeric numeric, c_numeric_10_2 numeric(10,2), c_numeric_5_0 numeric(5,0), c_numeric_38_10 numeric(38,10), c_money money,
 c_text text, c_varchar varchar, c_varchar10 varchar(10), c_char char, c_char10 char(10), c_qchar "char", c_name name, c_citext citext,
 c_bytea bytea,
 c_date date, c_time time, c_time0 time(0), c_time1 time(1), c_time3 time(3), c_time4 time(4), c_time6 time(6),
 c_timetz timetz, c_timetz0 timetz(0), c_timetz3 timetz(3),
 c_ts timestamp, c_ts0 timestamp(0), c_ts1 timestamp(1), c_ts2 timestamp(2), c_ts3 timestamp(3), c_ts4 timestamp(4), c_ts5 timestamp(5), c_ts6 timestamp(6),
 c_tstz timestamptz, c_tstz0 timestamptz(0), c_tstz3 timestamptz(3), c_tstz6 timestamptz(6),
 c_interval interval, c_interval3 interval(3), c_interval_ym interval year to month, c_interval_ds interval day to second,
 c_uuid uuid, c_json json, c_jsonb jsonb, c_jsonpath jsonpath, c_xml xml,
 c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8,
 c_bit1 bit, c_bit3 bit(3), c_bit8 bit(8), c_bit20 bit(20), c_varbit varbit, c_varbit20 varbit(20), c_varbit1 varbit(1),
 c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle,
 c_int4range int4range, c_int8range int8range, c_numrange numrange, c_tsrange tsrange, c_tstzrange tstzrange, c_daterange daterange,
 c_int4mr int4multirange, c_int8mr int8multirange, c_nummr nummultirange, c_tsmr tsmultirange, c_tstzmr tstzmultirange, c_datemr datemultirange,
 c_enum mood, c_dom_int posint, c_dom_text email, c_dom_num dnum, c_comp addr,
 c_hstore hstore, c_ltree ltree, c_lquery lquery, c_ltxtquery ltxtquery, c_tsvector tsvector, c_tsquery tsquery,
 c_oid oid, c_regclass regclass, c_regtype regtype, c_xid xid, c_xid8 xid8, c_cid cid, c_tid tid, c_pg_lsn pg_lsn, c_pg_snapshot pg_snapshot, c_txid_snapshot txid_snapshot
);
\if :has_vector
ALTER TABLE types_scalar ADD COLUMN c_vector vector(3), ADD COLUMN c_halfvec halfvec(3), ADD COLUMN c_sparsevec sparsevec(5);
\endif

CREATE TABLE types_array (
 id bigint PRIMARY KEY,
 a_bool bool[], a_int2 int2[], a_int4 int4[], a_int8 int8[], a_float4 float4[], a_float8 float8[], a_numeric numeric[], a_numeric_10_2 numeric(10,2)[], a_money money[],
 a_text text[], a_varchar varchar[], a_varchar10 varchar(10)[], a_char3 char(3)[], a_name name[], a_citext citext[], a_bytea bytea[],
 a_date date[], a_time time[], a_time3 time(3)[], a_timetz timetz[], a_ts timestamp[], a_ts3 timestamp(3)[], a_tstz timestamptz[], a_interval interval[],
 a_uuid uuid[], a_json json[], a_jsonb jsonb[], a_xml xml[], a_inet inet[], a_cidr cidr[], a_macaddr macaddr[], a_macaddr8 macaddr8[],
 a_bit1 bit[], a_bit3 bit(3)[], a_varbit varbit[], a_point point[], a_box box[], a_polygon polygon[],
 a_int4range int4range[], a_numrange numrange[], a_tsrange tsrange[], a_tstzrange tstzrange[], a_daterange daterange[], a_int4mr int4multirange[],
 a_enum mood[], a_dom_int posint[], a_dom_text email[], a_comp addr[], a_hstore hstore[], a_ltree ltree[], a_tsvector tsvector[],
 a_oid oid[], a_xid8 xid8[], a_pg_lsn pg_lsn[],
 a_int4_2d int4[][], a_text_2d text[][]
);
\if :has_vector
ALTER TABLE types_array ADD COLUMN a_vector vector(3)[];
\endif

-- one risky value per row
CREATE TABLE types_edge (
 id bigint PRIMARY KEY, note text,
 e_float4 float4, e_float8 float8, e_numeric numeric, e_numeric_10_2 numeric(10,2), e_date date, e_time time, e_time3 time(3), e_timetz timetz,
 e_ts timestamp, e_ts3 timestamp(3), e_ts6 timestamp(6), e_tstz timestamptz, e_tstz3 timestamptz(3), e_interval interval,
 e_tstzrange tstzrange, e_numrange numrange, e_daterange daterange, e_jsonb jsonb, e_text text, e_bytea bytea, e_money money
);
CREATE TABLE isbn_t (id int PRIMARY KEY, i isbn, ia isbn[]);
CREATE OR REPLACE PROCEDURE fill_scalar(base int) LANGUAGE plpgsql AS $p$
BEGIN
 INSERT INTO types_scalar(id) VALUES (base+2);  -- all NULL
 INSERT INTO types_scalar (id,c_bool,c_int2,c_int4,c_int8,c_float4,c_float8,c_numeric,c_numeric_10_2,c_numeric_5_0,c_numeric_38_10,c_money,c_text,c_varchar,c_varchar10,c_char,c_char10,c_qchar,c_name,c_citext,c_bytea,
  c_date,c_time,c_time0,c_time1,c_time3,c_time4,c_time6,c_timetz,c_timetz0,c_timetz3,c_ts,c_ts0,c_ts1,c_ts2,c_ts3,c_ts4,c_ts5,c_ts6,c_tstz,c_tstz0,c_tstz3,c_tstz6,c_interval,c_interval3,c_interval_ym,c_interval_ds,
  c_uuid,c_json,c_jsonb,c_jsonpath,c_xml,c_inet,c_cidr,c_macaddr,c_macaddr8,c_bit1,c_bit3,c_bit8,c_bit20,c_varbit,c_varbit20,c_varbit1,c_point,c_line,c_lseg,c_box,c_path,c_polygon,c_circle,
  c_int4range,c_int8range,c_numrange,c_tsrange,c_tstzrange,c_daterange,c_int4mr,c_int8mr,c_nummr,c_tsmr,c_tstzmr,c_datemr,c_enum,c_dom_int,c_dom_text,c_dom_num,c_comp,c_hstore,c_ltree,c_lquery,c_ltxtquery,c_tsvector,c_tsquery,
  c_oid,c_regclass,c_regtype,c_xid,c_xid8,c_cid,c_tid,c_pg_lsn,c_pg_snapshot,c_txid_snapshot)
 VALUES (base+1,true,12,-345,6789012345,1.1,2.25,'12345.6789',123.40,42,'1234567890.0123456789','$1,234.50','héllo "w" \n','vc','v10','c','char10','q','nm','CiText','\xdeadbeef00ff',
  '2024-02-29','13:14:15.123456','13:14:15.6','13:14:15.16','13:14:15.1236','13:14:15.12346','13:14:15.123456','13:14:15.123456+02','13:14:15+05:30','13:14:15.1236-03:30','2024-02-29 13:14:15.123456','2024-02-29 13:14:15.6','2024-02-29 13:14:15.16','2024-02-29 13:14:15.126','2024-02-29 13:14:15.1236','2024-02-29 13:14:15.12346','2024-02-29 13:14:15.123456','2024-02-29 13:14:15.123456','2024-02-29 13:14:15.123456+02','2024-02-29 13:14:15.6+02','2024-02-29 13:14:15.1236+02','2024-02-29 13:14:15.1+02','1 year 2 mons 3 days 04:05:06.789','3 days 04:05:06.7894','1 year 2 mons','3 days 04:05:06.5',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11','{"b": 1,  "a": [1, 2.50, null]}','{"b": 1,  "a": [1, 2.50, null]}','$.a[*] ? (@ > 1)','<a x="1">t</a>','192.168.1.5/24','10.0.0.0/8','08:00:2b:01:02:03','08:00:2b:01:02:03:04:05',B'1',B'101',B'10000001',B'10101010101010101011',B'1011',B'110011001',B'1','(1.5,-2)','{1,2,3}','[(0,0),(1,1)]','(2,2),(0,0)','[(0,0),(1,1),(2,0)]','((0,0),(1,1),(2,0))','<(1,2),3>',
  '[1,10)','(1,10]','[1.5,2.50)','[2020-01-01 00:00,2020-01-02 12:30:00.5)','[2020-01-01 00:00+02,infinity)','[2020-01-01,2020-01-31]','{[1,3),[5,8)}','{}','{[1.0,2.0]}','{[2020-01-01,2020-02-01)}','{(,2020-01-01)}','{[2020-01-01,2020-01-05)}','happy',3,'a@b.c',1.5,ROW('Main "St", 1',7,'12345'),'a=>1, "b c"=>NULL, c=>"x\"y"','Top.Science','*.a.*{1,2}','a & b','a fat cat sat','fat & rat',
  123456,'types_scalar','int4','99','1234567890123','5','(0,1)','16/B374D848','10:20:10,14,15','10:20:10,14,15');
 INSERT INTO types_scalar (id,c_bool,c_int2,c_int4,c_int8,c_float4,c_float8,c_numeric,c_numeric_10_2,c_numeric_5_0,c_numeric_38_10,c_money,c_text,c_varchar,c_varchar10,c_char,c_char10,c_bytea,c_date,c_time,c_time0,c_time3,c_time6,c_timetz,c_ts,c_ts3,c_tstz,c_interval,c_uuid,c_json,c_jsonb,c_inet,c_cidr,c_macaddr,c_bit1,c_bit8,c_bit20,c_varbit,c_point,c_int4range,c_numrange,c_hstore,c_ltree,c_tsvector,c_oid,c_xid8,c_pg_lsn,c_qchar)
 VALUES (base+3,false,-32768,-2147483648,-9223372036854775808,'-3.4028235e38','-1.7976931348623157e308','-0.000000000000000000001',-99999999.99,-99999,-9999999999999999999999999999.9999999999,'-92233720368547758.08','','','','','','','0001-01-01','00:00:00','00:00:00','00:00:00','00:00:00','00:00:00+15','0001-01-01 00:00:00','0001-01-01 00:00:00','0001-01-01 00:00:00+00','-178000000 years','00000000-0000-0000-0000-000000000000','null','null','0.0.0.0/0','::/0','00:00:00:00:00:00',B'0',B'00000000',B'00000000000000000000','','(0,0)','empty','(,)','','','',0,'0','0/0','');
 INSERT INTO types_scalar (id,c_bool,c_int2,c_int4,c_int8,c_float4,c_float8,c_numeric,c_numeric_10_2,c_numeric_5_0,c_numeric_38_10,c_money,c_text,c_varchar10,c_char10,c_bytea,c_date,c_time,c_time0,c_time3,c_time6,c_timetz,c_ts,c_ts3,c_tstz,c_interval,c_uuid,c_json,c_jsonb,c_inet,c_macaddr,c_bit1,c_bit8,c_bit20,c_varbit,c_oid,c_xid8,c_pg_lsn)
 VALUES (base+4,true,32767,2147483647,9223372036854775807,'3.4028235e38','1.7976931348623157e308','123456789012345678901234567890123456789012345678901234567890.123456789',99999999.99,99999,9999999999999999999999999999.9999999999,'92233720368547758.07',repeat('x',50),'9999999999','9999999999',decode(repeat('ff',20),'hex'),'9999-12-31','23:59:59.999999','23:59:59','23:59:59.999','23:59:59.999999','23:59:59.999999-15','9999-12-31 23:59:59.999999','9999-12-31 23:59:59.999','9999-12-31 23:59:59.999999+00','178000000 years','ffffffff-ffff-ffff-ffff-ffffffffffff','"s"','1.10','ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128','ff:ff:ff:ff:ff:ff',B'1',B'11111111',B'11111111111111111111',B'1111111111111111111111111111111111111111111111111111111111111111111','4294967295','18446744073709551615','FFFFFFFF/FFFFFFFF');
 -- small variants: float text forms, trailing zeros
 INSERT INTO types_scalar (id,c_float4,c_float8,c_numeric,c_numeric_10_2,c_numeric_5_0,c_money,c_varchar10,c_date,c_time,c_ts,c_tstz,c_interval,c_jsonb,c_inet,c_bit3,c_varbit) VALUES
  (base+11,0,-0.0,0,0,0,0,' pad ','1970-01-01','00:00:00.000001','1970-01-01 00:00:00','1970-01-01 00:00:00+00','0','{}','1.2.3.4',B'000',B'0'),
  (base+12,1e10,1e10,'1.000',1.1,1,1,'a','1969-12-31','12:00:00.1','1969-12-31 23:59:59.999999','1969-12-31 23:59:59.999999+00','-1 day +02:03:04','[]','1.2.3.4/32',B'111',B'00000001'),
  (base+13,1.5e-7,1.5e-7,'1e20',-1.1,-1,-0.01,'b','1900-01-01','12:00:00.120','1900-01-01 00:00:00.1','1900-01-01 00:00:00.1+00','1 mon -1 day','"x"','::1',B'001',B'100000000'),
  (base+14,123456.789,123456789.123456789,'-128','-1.28',128,-128,'c','2000-01-01','12:00:00.123','2000-01-01 00:00:00.120','2000-01-01 00:00:00.120+00','1.5 seconds','1e5','fe80::1/64',B'010',B'11'),
  (base+15,100,100,'255','2.55',255,2.55,'d','2038-01-19','12:00:00.123000','2038-01-19 03:14:08','2038-01-19 03:14:08+00','999 hours','true','10.1.2.3',B'100',B'1111111111111111'),
  (base+16,0.1,0.1,'100.00','100.00',0,100,'e','1582-10-15','23:59:59','1582-10-15 00:00:00','1582-10-15 00:00:00+00','-0.000001 seconds','123456789012345678901234567890.5','::ffff:1.2.3.4',B'110',B'101010101'),
  (base+17,1e-45,5e-324,'0.10','0.10',-128,0.1,'f','1582-10-04','01:02:03.4','1582-10-04 00:00:00','1582-10-04 00:00:00+00','1 year -2 mons','{"z":1,"a":{"b":[]}}','::/128',B'011',B'0');
END $p$;
CREATE OR REPLACE PROCEDURE fill_vec(base int) LANGUAGE plpgsql AS $p$
BEGIN
 UPDATE types_scalar SET c_vector='[1,2.5,-3]', c_halfvec='[1,2.5,-3]', c_sparsevec='{1:1.5,3:2}/5' WHERE id=base+1;
 UPDATE types_array SET a_vector=ARRAY['[1,2,3]'::vector,NULL] WHERE id=base+1;
END $p$;
CREATE OR REPLACE PROCEDURE fill_array(base int) LANGUAGE plpgsql AS $p$
BEGIN
 INSERT INTO types_array(id) VALUES (base+2);
 INSERT INTO types_array VALUES (base+1,'{t,NULL,f}','{1,NULL,-2}','{1,NULL,-2}','{1,NULL,9223372036854775807}','{1.5,NULL,NaN}','{1.1,NULL,Infinity}','{1.10,NULL,2}','{1.10,NULL,2}','{$1.50,NULL}',
  ARRAY['a',NULL,'b,"c"','','NULL','{x}',E'n\nl','ü😀','back\slash'],'{vc,NULL}','{v10,NULL}','{a,NULL,abc}','{nm,NULL}','{Ci,NULL}',ARRAY['\xdead'::bytea,NULL,''],
  '{2024-02-29,NULL,1970-01-01}','{13:14:15.123456,NULL}','{13:14:15.1236,NULL}','{13:14:15+02,NULL}','{"2024-02-29 13:14:15.123456",NULL}','{"2024-02-29 13:14:15.1236",NULL}','{"2024-02-29 13:14:15.123456+02",NULL}','{"1 day",NULL,"1 year 2 mons 3 days 04:05:06.789"}',
  '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}',ARRAY['{"a": 1}'::json,NULL],ARRAY['{"a":  1}'::jsonb,NULL],ARRAY['<a/>'::xml,NULL],'{192.168.1.5/24,NULL}','{10.0.0.0/8,NULL}','{08:00:2b:01:02:03,NULL}','{08:00:2b:01:02:03:04:05,NULL}',
  '{1,NULL,0}','{101,NULL}','{1011,NULL}',ARRAY['(1,2)'::point,NULL],'{(2,2),(0,0);NULL}',ARRAY['((0,0),(1,1))'::polygon,NULL],
  ARRAY['[1,10)'::int4range,NULL],ARRAY['[1.5,2.5)'::numrange,NULL],ARRAY['[2020-01-01,2020-01-02)'::tsrange,NULL],ARRAY['[2020-01-01 00:00+00,2020-01-02 00:00+00)'::tstzrange,NULL],ARRAY['[2020-01-01,2020-01-05)'::daterange,NULL],ARRAY['{[1,3)}'::int4multirange,NULL],
  ARRAY['sad'::mood,NULL,'it''s "q"'],ARRAY[1::posint,2],ARRAY['a@b'::email],ARRAY[ROW('s',1,'z')::addr,NULL],ARRAY['a=>1'::hstore,NULL],ARRAY['a.b'::ltree,NULL],ARRAY['a b'::tsvector,NULL],
  '{1,NULL,4294967295}','{1,NULL,18446744073709551615}',ARRAY['0/1'::pg_lsn,NULL],'{{1,2},{3,NULL}}','{{a,b},{c,NULL}}');
 INSERT INTO types_array VALUES (base+3,'{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}');
END $p$;
CREATE OR REPLACE PROCEDURE fill_edge() LANGUAGE plpgsql AS $p$
BEGIN
 INSERT INTO types_edge(id,note,e_float4,e_float8) VALUES (101,'NaN','NaN','NaN');
 INSERT INTO types_edge(id,note,e_float4,e_float8) VALUES (102,'Inf','Infinity','Infinity');
 INSERT INTO types_edge(id,note,e_float4,e_float8) VALUES (103,'-Inf','-Infinity','-Infinity');
 INSERT INTO types_edge(id,note,e_numeric) VALUES (110,'numeric NaN','NaN');
 INSERT INTO types_edge(id,note,e_numeric_10_2) VALUES (111,'numeric(10,2) NaN','NaN');
 INSERT INTO types_edge(id,note,e_numeric) VALUES (112,'numeric Inf','Infinity');
 INSERT INTO types_edge(id,note,e_numeric) VALUES (113,'numeric -Inf','-Infinity');
 INSERT INTO types_edge(id,note,e_date) VALUES (120,'date infinity','infinity');
 INSERT INTO types_edge(id,note,e_date) VALUES (121,'date -infinity','-infinity');
 INSERT INTO types_edge(id,note,e_date) VALUES (122,'date BC','0044-03-15 BC');
 INSERT INTO types_edge(id,note,e_date) VALUES (123,'date min','4713-01-01 BC');
 INSERT INTO types_edge(id,note,e_date) VALUES (124,'date max','5874897-12-31');
 INSERT INTO types_edge(id,note,e_ts,e_ts3,e_ts6) VALUES (130,'ts infinity','infinity','infinity','infinity');
 INSERT INTO types_edge(id,note,e_ts,e_ts3,e_ts6) VALUES (131,'ts -infinity','-infinity','-infinity','-infinity');
 INSERT INTO types_edge(id,note,e_ts,e_ts3,e_ts6) VALUES (132,'ts BC','0044-03-15 01:02:03.5 BC','0044-03-15 01:02:03.5 BC','0044-03-15 01:02:03.5 BC');
 INSERT INTO types_edge(id,note,e_ts,e_ts3,e_ts6) VALUES (133,'ts min','4713-11-24 00:00:00 BC','4713-11-24 00:00:00 BC','4713-11-24 00:00:00 BC');
 INSERT INTO types_edge(id,note,e_ts,e_ts3,e_ts6) VALUES (134,'ts max','294276-12-31 23:59:59.999999','294276-12-31 23:59:59.999','294276-12-31 23:59:59.999999');
 INSERT INTO types_edge(id,note,e_tstz,e_tstz3) VALUES (140,'tstz infinity','infinity','infinity');
 INSERT INTO types_edge(id,note,e_tstz,e_tstz3) VALUES (141,'tstz -infinity','-infinity','-infinity');
 INSERT INTO types_edge(id,note,e_tstz,e_tstz3) VALUES (142,'tstz BC','0044-03-15 01:02:03.5+00 BC','0044-03-15 01:02:03.5+00 BC');
 INSERT INTO types_edge(id,note,e_tstz,e_tstz3) VALUES (143,'tstz max','294276-12-31 23:59:59.999999+00','294276-12-31 23:59:59.999+00');
 INSERT INTO types_edge(id,note,e_tstz) VALUES (144,'tstz year 10000','10000-01-01 00:00:00+00');
 INSERT INTO types_edge(id,note,e_time,e_time3,e_timetz) VALUES (150,'24:00','24:00:00','24:00:00','24:00:00+00');
 INSERT INTO types_edge(id,note,e_timetz) VALUES (151,'timetz +05:45','01:02:03.4567+05:45');
 INSERT INTO types_edge(id,note,e_interval) VALUES (160,'iv mixed','-1 year 2 mons -3 days 04:05:06.789'),(161,'iv micros','0.000001 seconds'),(162,'iv neg time','-04:05:06.789'),(163,'iv months','14 mons'),(164,'iv 100h','100:00:00'),(165,'iv days','45 days');
 INSERT INTO types_edge(id,note,e_tstzrange,e_numrange,e_daterange) VALUES (170,'ranges','empty','(,)','[-infinity,infinity]'),(171,'r2','["2020-01-01 00:00:00.123456+05",)','[1.0,1.00]','(2020-01-01,)');
 INSERT INTO types_edge(id,note,e_text) VALUES (180,'ctl',E'tab\t nl\n cr\r bs\b ff\f ctl\x01\x1f del\x7f quote" back\\ slash/ '),(181,'uni',U&'\2028\2029 \+01F600 \00e9 \FEFF</script>'),(182,'empty','');
 INSERT INTO types_edge(id,note,e_jsonb) VALUES (183,'jsonb','{"u":"\u00e9\u2028","n":1e400,"big":12345678901234567890,"nest":{"a":[{"b":null}]}}');
 INSERT INTO types_edge(id,note,e_bytea) VALUES (184,'bytea empty',''),(185,'bytea',decode('00fffe3e3f','hex'));
 INSERT INTO types_edge(id,note,e_money) VALUES (186,'money','-$1,234.56'),(187,'money2','0.05');
 INSERT INTO types_edge(id,note,e_timetz) VALUES (152,'timetz offset seconds','01:02:03-00:00:30');
END $p$;
