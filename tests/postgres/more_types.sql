-- Types that are made of others, and values that are on the edge of what Python can hold.
CREATE DOMAIN past AS date; CREATE DOMAIN ints AS int[]; CREATE DOMAIN dmood AS mood;
CREATE DOMAIN daddr AS addr; CREATE DOMAIN small AS posint CHECK (VALUE < 100);
CREATE TYPE span AS RANGE (subtype = timestamptz, multirange_type_name = spans);
CREATE TYPE moods AS RANGE (subtype = mood, multirange_type_name = moods_set);
CREATE TYPE odd AS ("a b" addr, a_b mood[], days daterange, n small, f float4, h hstore);
CREATE TYPE nothing AS ();
CREATE TABLE types_made (
 id bigint PRIMARY KEY, m_past past, m_pasts past[], m_ints ints, m_ints_arr ints[], m_dmood dmood,
 m_dmoods dmood[], m_daddr daddr, m_small small, m_span span, m_spans spans, m_spans_arr spans[],
 m_moods moods, m_moods_set moods_set, m_odd odd, m_odds odd[], m_row types_edge, m_nothing nothing
);
CREATE TABLE types_rest (
 id bigint PRIMARY KEY, r_qchar "char", r_qchars "char"[], r_float4 float4, r_float4s float4[],
 r_interval interval, r_intervals interval[], r_int2vector int2vector, r_oidvector oidvector,
 r_regproc regproc, r_regrole regrole, r_regnamespace regnamespace, r_regconfig regconfig,
 r_refcursor refcursor, r_times time[], r_timetzs timetz[], r_tstzs timestamptz[], r_json json,
 r_boxes box[], r_bounds int[], r_datemrs datemultirange[], r_lines line[]
);
CREATE PROCEDURE fill_made() LANGUAGE sql AS $p$
 INSERT INTO types_made VALUES
 (1, 'infinity', '{2020-01-01,NULL,"0044-03-15 BC"}', '{1,2}', NULL, 'it''s "q"', '{sad,"it''s \"q\""}',
  '("a ""b""",1,)', 7, '[2020-01-01 00:00+00,infinity)', '{[-infinity,0044-03-15 BC)}',
  '{"{}","{(,infinity]}"}', '[sad,happy]', '{[sad,ok)}',
  ROW(ROW('x, "y"', NULL, ''), '{ok,NULL}', '[-infinity,2020-01-01)', 5, 1.1, 'a=>"1\\"'),
  ARRAY[NULL, ROW(NULL, NULL, NULL, NULL, NULL, NULL)::odd], NULL, ROW()),
 (2, '-infinity', '{}', '{}', NULL, NULL, '{}', '(,,)', 99, 'empty', '{}', '{}', 'empty', '{}', NULL,
  '{}', (SELECT e FROM types_edge e WHERE id = 170), NULL);
$p$;
CREATE PROCEDURE fill_rest() LANGUAGE sql AS $p$
 INSERT INTO types_rest VALUES
 (1, '', '{a,"",NULL}', 1.1, '{1.1,3.4028235e38,1e-45,NaN,-0,3e10,16777216}', '178000000 years',
  '{-178000000 years,1 mon -1 days +00:00:01,-0.5s}', '1 2', '3 4', 'now', 'pg_monitor', 'public',
  'simple', 'c', '{24:00,23:59:59.9}', '{24:00-15:59:59,01:02:03+05:30}',
  '{infinity,-infinity,0044-03-15 01:02:03.5 BC,10000-01-01}', '{"a": 1.5}', '{(2,2),(0,0);(1,1),(0,0)}',
  '[0:1]={1,2}', ARRAY['{[2020-01-01,infinity)}'::datemultirange, NULL], ARRAY['{1,2,3}'::line]);
 INSERT INTO types_rest (id, r_interval) VALUES
 (2, '-2147483648 mons -2147483648 days'), (3, '2147483647 days'), (4, '-13 mons +2 days -00:00:00.000001'),
 (5, '999999999 days'), (6, '-999999999 days'), (7, '1000000000 days'), (8, '-13 mons'),
 (9, '2147483647:59:59.999999'), (10, '-1 days +1 mons'), (11, '1 day -00:00:01');
$p$;
