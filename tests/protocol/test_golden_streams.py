"""Every message that a real server sent is parsed, and builds to the same bytes again."""

from __future__ import annotations

from collections import Counter

import pytest

from pglogical_cdc.protocol import BinaryValue, InsertMessage, PgoutputParser, StreamAbortMessage
from tests import golden
from tests.wire import build

# How many messages of each type, by the type byte.
_DEBEZIUM_RUN = "B188 C188 D19 I171 M7 R58 T7 U38 Y32"
_COUNTS = {
    "raw_pgoutput_v1": _DEBEZIUM_RUN,
    "raw_pgoutput_v1_binary": "B184 C184 D19 I166 M7 R54 T7 U38 Y28",
    "raw_pgoutput_v1_gencols": _DEBEZIUM_RUN,
    "raw_pgoutput_v1_nomsg": "B186 C186 D19 I171 R58 T7 U38 Y32",
    "raw_pgoutput_v1_root": "B188 C188 D19 I171 M7 R61 T7 U38 Y32",
    "raw_pgoutput_v2": _DEBEZIUM_RUN,
    "raw_pgoutput_v4": _DEBEZIUM_RUN,
    "message_key_columns/raw_pgoutput_v1": _DEBEZIUM_RUN,
    "messages/plain_v1": "A1 B14 C14 D2 I307 M3 O1 R8 T2 U4 Y2",
    "messages/streamed_v2": "A2 B12 C12 D2 E9 I447 M3 O1 R10 S9 T2 U4 Y2 c2",
    "messages/streamed_v2_binary": "A2 B12 C12 D2 E9 I447 M3 O1 R10 S9 T2 U4 Y2 c2",
    "messages/two_phase_v3": "A2 B11 C11 D2 E9 I448 K2 M3 O1 P2 R10 S9 T2 U4 Y2 b2 c1 p1 r1",
    "messages/parallel_v4": "A2 B11 C11 D2 E9 I448 K2 M3 O1 P2 R10 S9 T2 U4 Y2 b2 c1 p1 r1",
}


def _version(name: str) -> int:
    return int(name.partition("_v")[2][0])


@pytest.mark.parametrize("name", [*golden.RAW_STREAMS, *golden.WORKLOAD_STREAMS])
def test_every_message_parses_and_builds_again(name: str) -> None:
    parser = PgoutputParser(_version(name))
    counts = Counter[str]()
    for _, _, payload in golden.raw_messages(name):
        message = parser.parse(payload)
        assert build(message) == payload
        counts[chr(payload[0])] += 1
    assert not parser.in_stream
    listed = " ".join(f"{code}{count}" for code, count in sorted(counts.items()))
    assert listed == _COUNTS[name]


@pytest.mark.parametrize("name", golden.WORKLOAD_STREAMS)
def test_changes_have_the_transaction_of_their_block(name: str) -> None:
    parser = PgoutputParser(_version(name))
    streamed = plain = 0
    for _, xid, payload in golden.raw_messages(name):
        message = parser.parse(payload)
        if not isinstance(message, InsertMessage):
            continue
        if parser.in_stream:
            # A change of a subtransaction has the ID of the subtransaction.
            assert message.xid is not None
            assert message.xid >= xid
            streamed += 1
        else:
            assert message.xid is None
            plain += 1
    assert plain
    assert bool(streamed) is (name != "messages/plain_v1")


def test_values_are_binary_only_in_the_binary_streams() -> None:
    for name in (*golden.RAW_STREAMS, *golden.WORKLOAD_STREAMS):
        parser = PgoutputParser(_version(name))
        kinds = set[type]()
        for _, _, payload in golden.raw_messages(name):
            message = parser.parse(payload)
            if isinstance(message, InsertMessage):
                kinds.update(type(value) for value in message.new_tuple if value is not None)
        assert BinaryValue in kinds if name.endswith("_binary") else kinds == {bytes}


def test_version_1_of_postgresql_18_has_a_stray_stream_abort() -> None:
    parser = PgoutputParser(1)
    messages = [parser.parse(payload) for _, _, payload in golden.raw_messages("messages/plain_v1")]
    (abort,) = [message for message in messages if isinstance(message, StreamAbortMessage)]
    assert abort.xid != abort.subxid
    assert (abort.abort_lsn, abort.abort_timestamp) == (None, None)


def test_stream_abort_has_lsn_and_time_only_with_parallel_streaming() -> None:
    for name in golden.WORKLOAD_STREAMS:
        parser = PgoutputParser(_version(name))
        for lsn, _, payload in golden.raw_messages(name):
            message = parser.parse(payload)
            if isinstance(message, StreamAbortMessage) and name == "messages/parallel_v4":
                assert message.abort_lsn == lsn
                assert message.abort_timestamp is not None
            elif isinstance(message, StreamAbortMessage):
                assert message.abort_lsn is None
                assert message.abort_timestamp is None
