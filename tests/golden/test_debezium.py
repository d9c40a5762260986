"""What Debezium wrote and what is written here are the same, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pglogical_cdc import Change
from tests.golden import debezium_records, first_run_configurations, first_run_records
from tests.golden.comparison import (
    agree,
    differences,
    fields_of,
    formatted,
    masked,
    run_id,
    streamed,
)
from tests.golden.configurations import CONFIGURATIONS, formatter_for, transforms_for
from tests.golden.replay import replay_changes, replay_first_run

ReportCompared = Callable[[str, int, int], None]


def _compare(
    name: str,
    records: list[dict[str, Any]],
    changes: Sequence[Change],
    report: ReportCompared,
) -> None:
    properties = CONFIGURATIONS[name]
    theirs = list(streamed(records))
    formatter = formatter_for(properties, run_id=run_id(records))

    ours = formatted(changes, formatter, transforms_for(properties))

    assert differences(ours, theirs) == []
    report(name, len(theirs), sum(map(fields_of, theirs)))


def _stream_of(name: str) -> str:
    return "raw_pgoutput_v1_root" if name == "partition_via_root" else "raw_pgoutput_v1"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_record_is_debeziums(name: str, report_compared: ReportCompared) -> None:
    _compare(name, debezium_records(name), replay_changes(_stream_of(name)), report_compared)


@pytest.mark.parametrize("name", first_run_configurations())
def test_every_record_of_the_first_run_is_debeziums(
    name: str, report_compared: ReportCompared
) -> None:
    folder, _, configuration = name.rpartition("/")
    assert folder in ("", "message_key_columns")
    changes = replay_first_run(_stream_of(configuration), "message_key_columns" if folder else "")
    _compare(configuration, first_run_records(name), changes, report_compared)


def test_heartbeats_are_debeziums() -> None:
    formatter = formatter_for(CONFIGURATIONS["heartbeat"])
    compared = 0
    for record in debezium_records("heartbeat"):
        if record["topic"] == "__debezium-heartbeat.dbz":
            compared += 1
            time = json.loads(record["value"])["ts_ms"]
            [ours] = formatter.heartbeat(time * 1_000_000 + 999_999)
            assert differences([ours], [record]) == []
    assert compared > 10


def test_nothing_is_left_out() -> None:
    # A heartbeat and a row of a snapshot are all that is not compared.
    for name in CONFIGURATIONS:
        records = debezium_records(name)
        compared = {id(record) for record in streamed(records)}
        left_out = [record for record in records if id(record) not in compared]
        for record in left_out:
            content = json.loads(record["value"])
            payload = content.get("payload", content)
            is_snapshot = "snapshot" in record["source_offset"]
            assert is_snapshot or list(payload) == ["ts_ms"]


# -- the comparison itself


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('{"op":"c","ts_ms":5,"ts_us":6,"ts_ns":7}', True),
        ('{"op":"c","ts_ms":1,"ts_us":2,"ts_ns":3}', True),
        ('{"op":"c","ts_ms":1,"ts_us":2,"ts_ns":null}', False),
        ('{"op":"u","ts_ms":1,"ts_us":2,"ts_ns":3}', False),
        ('{"op":"c","ts_us":2,"ts_ms":1,"ts_ns":3}', False),
    ],
)
def test_only_the_clock_is_masked(text: str, *, same: bool) -> None:
    assert (masked(text) == masked('{"op":"c","ts_ms":1,"ts_us":2,"ts_ns":3}')) is same


def test_the_times_of_the_source_are_compared() -> None:
    envelope = '{{"source":{{"ts_ms":{0},"ts_us":{0},"ts_ns":{0},"lsn":1}},"op":"c"}}'

    assert masked(envelope.format(1)) != masked(envelope.format(2))


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ('["{1,2}"]', '["[Ljava.lang.Long;@1f"]', True),
        ('["{1,2}","x"]', '["[Ljava.lang.Long;@1f","y"]', False),
        ('["{1,2}","[Ljava.lang.Long;@1f"]', '["[Ljava.lang.Long;@1f","x"]', False),
        ("[1]", '["[Ljava.lang.Long;@1f"]', False),
        (None, "[1]", False),
        (None, None, True),
    ],
)
def test_only_an_identity_of_java_matches_anything(
    ours: str | None, theirs: str | None, *, same: bool
) -> None:
    assert agree(ours, theirs) is same


def test_a_difference_is_found() -> None:
    records = debezium_records("default")
    theirs = list(streamed(records))
    ours = formatted(replay_changes(), formatter_for({}, run_id=run_id(records)))

    assert differences(ours[:-1], theirs)[0].startswith(f"{len(ours) - 1} records of ours")
    for record in theirs:
        if record["value"] is not None:
            altered = {**record, "value": record["value"].replace('"op":', '"OP":')}
            index = theirs.index(record)
            assert differences(ours[index : index + 1], [altered]) != []
