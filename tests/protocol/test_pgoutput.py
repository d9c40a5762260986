"""Every message byte by byte, the versions, the state, and damage."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import (
    ConfigurationError,
    ProtocolError,
    TruncatedMessageError,
    UnknownMessageError,
)
from pglogical_cdc.protocol import (
    BeginMessage,
    BeginPrepareMessage,
    CommitMessage,
    CommitPreparedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    Message,
    OriginMessage,
    PgoutputParser,
    PrepareMessage,
    RelationColumn,
    RelationMessage,
    RollbackPreparedMessage,
    StreamAbortMessage,
    StreamCommitMessage,
    StreamPrepareMessage,
    StreamStartMessage,
    StreamStopMessage,
    TruncateMessage,
    TypeMessage,
    UpdateMessage,
    pgoutput,
)
from tests import wire

# Written by hand after the tables of the manual: type byte, fields in order.
_OUTSIDE: list[tuple[int, str, Message]] = [
    (
        1,
        "42 ffffffffffffffff 000303d97889eb8a b2d05e00",
        BeginMessage(2**64 - 1, 848_657_495_223_178, 3_000_000_000),
    ),
    (
        1,
        "4d 01 0000000000000010 707200 00000003 00ff01",
        LogicalDecodingMessage(1, 16, "pr", b"\0\xff\1"),
    ),
    (
        1,
        "43 00 0000000000000010 0000000000000020 ffffffffffffffff",
        CommitMessage(0, 16, 32, -1),
    ),
    (1, "4f 0000000000000010 6f726900", OriginMessage(16, "ori")),
    (
        1,
        "52 ffffffff 7300 c3b600 66 0002 01 696400 00000017 ffffffff 00 6e00 ffffffff 000a0006",
        RelationMessage(
            4_294_967_295,
            "s",
            "ö",
            "f",
            (RelationColumn(1, "id", 23, -1), RelationColumn(0, "n", 4_294_967_295, 655_366)),
        ),
    ),
    (1, "52 00000001 00 7400 6e 0000", RelationMessage(1, "pg_catalog", "t", "n", ())),
    (1, "59 ffffffff 7300 6d6f6f6400", TypeMessage(4_294_967_295, "s", "mood")),
    (1, "59 00000017 00 696e743400", TypeMessage(23, "pg_catalog", "int4")),
    (
        1,
        "49 ffffffff 4e 0002 74 00000001 31 6e",
        InsertMessage(4_294_967_295, (b"1", None)),
    ),
    (
        1,
        "55 00000001 4e 0002 74 00000001 31 75",
        UpdateMessage(1, None, None, (b"1", UNCHANGED)),
    ),
    (
        1,
        "55 00000001 4b 0001 74 00000001 30 4e 0001 74 00000001 31",
        UpdateMessage(1, "K", (b"0",), (b"1",)),
    ),
    (
        1,
        "55 00000001 4f 0001 6e 4e 0001 74 00000001 31",
        UpdateMessage(1, "O", (None,), (b"1",)),
    ),
    (1, "44 00000001 4b 0001 74 00000001 31", DeleteMessage(1, "K", (b"1",))),
    (1, "44 00000001 4f 0001 6e", DeleteMessage(1, "O", (None,))),
    (1, "54 00000002 03 00000001 ffffffff", TruncateMessage((1, 4_294_967_295), 3)),
    (1, "41 b2d05e00 b2d05e01", StreamAbortMessage(3_000_000_000, 3_000_000_001)),
    (2, "53 b2d05e00 01", StreamStartMessage(3_000_000_000, True)),
    (2, "53 b2d05e00 00", StreamStartMessage(3_000_000_000, False)),
    (
        2,
        "63 b2d05e00 00 0000000000000010 0000000000000020 0000000000000003",
        StreamCommitMessage(3_000_000_000, 0, 16, 32, 3),
    ),
    (
        3,
        "62 0000000000000010 0000000000000020 0000000000000003 b2d05e00 6700",
        BeginPrepareMessage(16, 32, 3, 3_000_000_000, "g"),
    ),
    (
        3,
        "50 00 0000000000000010 0000000000000020 0000000000000003 b2d05e00 6700",
        PrepareMessage(0, 16, 32, 3, 3_000_000_000, "g"),
    ),
    (
        3,
        "4b 00 0000000000000010 0000000000000020 0000000000000003 b2d05e00 6700",
        CommitPreparedMessage(0, 16, 32, 3, 3_000_000_000, "g"),
    ),
    (
        3,
        "72 00 0000000000000010 0000000000000020 0000000000000003 ffffffffffffffff b2d05e00 6700",
        RollbackPreparedMessage(0, 16, 32, 3, -1, 3_000_000_000, "g"),
    ),
    (
        3,
        "70 00 0000000000000010 0000000000000020 0000000000000003 b2d05e00 6700",
        StreamPrepareMessage(0, 16, 32, 3, 3_000_000_000, "g"),
    ),
    (
        4,
        "41 00000001 00000002 ffffffffffffffff 0000000000000003",
        StreamAbortMessage(1, 2, 2**64 - 1, 3),
    ),
]

_X = 3_000_000_000
_INSIDE: list[tuple[str, Message]] = [
    (
        "4d b2d05e00 00 0000000000000010 00 00000000",
        LogicalDecodingMessage(0, 16, "", b"", _X),
    ),
    ("4f 0000000000000000 6f00", OriginMessage(0, "o")),
    ("52 b2d05e00 00000001 7300 7400 69 0000", RelationMessage(1, "s", "t", "i", (), _X)),
    ("59 b2d05e00 00000001 7300 7400", TypeMessage(1, "s", "t", _X)),
    ("49 b2d05e00 00000001 4e 0001 6e", InsertMessage(1, (None,), _X)),
    ("55 b2d05e00 00000001 4e 0001 6e", UpdateMessage(1, None, None, (None,), _X)),
    (
        "55 b2d05e00 00000001 4b 0000 4e 0001 6e",
        UpdateMessage(1, "K", (), (None,), _X),
    ),
    ("44 b2d05e00 00000001 4f 0001 6e", DeleteMessage(1, "O", (None,), _X)),
    ("54 b2d05e00 00000001 00 00000007", TruncateMessage((7,), 0, _X)),
    ("45", StreamStopMessage()),
]


def _parser(version: int, *, in_stream: bool = False) -> PgoutputParser:
    parser = PgoutputParser(version)
    if in_stream:
        parser.parse(wire.stream_start(1))
    return parser


@pytest.mark.parametrize(("first_version", "hexadecimal", "message"), _OUTSIDE)
def test_messages_outside_streamed_blocks(
    first_version: int, hexadecimal: str, message: Message
) -> None:
    payload = bytes.fromhex(hexadecimal)
    for version in range(first_version, 5):
        parsed = _parser(version).parse(payload)
        assert parsed == message
        assert type(parsed) is type(message)
    assert wire.build(message) == payload


@pytest.mark.parametrize(("hexadecimal", "message"), _INSIDE)
def test_messages_inside_streamed_blocks(hexadecimal: str, message: Message) -> None:
    payload = bytes.fromhex(hexadecimal)
    for version in (2, 3, 4):
        parsed = _parser(version, in_stream=True).parse(payload)
        assert parsed == message
        assert type(parsed) is type(message)
    assert wire.build(message) == payload


def test_every_message_has_an_example() -> None:
    examples = {type(message) for *_, message in _OUTSIDE} | {type(m) for _, m in _INSIDE}
    assert len(examples) == 19


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview])
def test_containers_of_bytes(container: type[bytes]) -> None:
    message = PgoutputParser().parse(container(wire.insert(1, ["text"])))
    assert isinstance(message, InsertMessage)
    assert [type(value) for value in message.new_tuple] == [bytes]


def test_a_number_is_no_message() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError):
        PgoutputParser().parse(wrong)


@pytest.mark.parametrize("version", [0, 5, -1, "1", None])
def test_versions_that_do_not_exist(version: Any) -> None:
    with pytest.raises(ConfigurationError, match="protocol versions 1 to 4"):
        PgoutputParser(version)


def test_version_is_1_unless_said() -> None:
    assert PgoutputParser().protocol_version == 1
    assert PgoutputParser(4).protocol_version == 4


@pytest.mark.parametrize(("first_version", "hexadecimal", "message"), _OUTSIDE)
def test_messages_of_later_versions_are_unknown(
    first_version: int, hexadecimal: str, message: Message
) -> None:
    if isinstance(message, StreamAbortMessage):
        return
    for version in range(1, first_version):
        with pytest.raises(UnknownMessageError) as caught:
            _parser(version).parse(bytes.fromhex(hexadecimal))
        assert caught.value.offset == 0
        assert caught.value.expected == f"a message type of protocol version {version}"
        assert caught.value.found.endswith(f"which exists from version {first_version} on")


def test_stream_stop_is_unknown_in_version_1() -> None:
    with pytest.raises(UnknownMessageError, match="Stream Stop, offset 0"):
        _parser(1).parse(b"E")


def test_stray_stream_abort_of_version_1() -> None:
    parser = _parser(1)
    assert parser.parse(wire.stream_abort(5, 6)) == StreamAbortMessage(5, 6)
    assert parser.parse(wire.begin(16, 3, 7)) == BeginMessage(16, 3, 7)


def test_stream_abort_has_lsn_and_time_only_in_version_4() -> None:
    payload = wire.stream_abort(5, 6, abort_lsn=7, abort_timestamp=8)
    assert _parser(4).parse(payload) == StreamAbortMessage(5, 6, 7, 8)
    for version in (1, 2, 3):
        with pytest.raises(ProtocolError, match=r"Stream Abort, offset 9: .* 16 more bytes"):
            _parser(version).parse(payload)
    for size in (10, 17, 24):
        with pytest.raises(TruncatedMessageError, match="of abort"):
            _parser(4).parse(payload[:size])


@pytest.mark.parametrize("code", sorted(set(range(256)) - set(b"BCORYIUDTMSEcAbPKrp")))
def test_unknown_type_bytes(code: int) -> None:
    for parser in (_parser(1), _parser(4), _parser(4, in_stream=True)):
        with pytest.raises(UnknownMessageError) as caught:
            parser.parse(bytes([code]) + bytes(20))
        assert caught.value.offset == 0
        assert caught.value.found == f"type byte 0x{code:02X}"


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview])
def test_empty_payload(container: type[bytes]) -> None:
    with pytest.raises(TruncatedMessageError) as caught:
        PgoutputParser().parse(container(b""))
    assert str(caught.value) == ("pgoutput message, offset 0: expected a type byte, found 0 bytes")


def test_state_follows_stream_start_and_stop() -> None:
    parser = _parser(2)
    states = [parser.in_stream]
    for payload in (
        wire.stream_start(1),
        wire.insert(1, [None], xid=1),
        wire.stream_stop(),
        wire.insert(1, [None]),
        wire.stream_start(1, first_segment=False),
    ):
        parser.parse(payload)
        states.append(parser.in_stream)
    assert states == [False, True, True, False, False, True]


@pytest.mark.parametrize("code", "BCScAbPKrp")
def test_messages_that_may_not_come_inside_a_streamed_block(code: str) -> None:
    parser = _parser(4, in_stream=True)
    with pytest.raises(ProtocolError) as caught:
        parser.parse(code.encode() + bytes(40))
    assert type(caught.value) is ProtocolError
    assert caught.value.expected == "this message only outside a streamed block"
    assert caught.value.found == f"type byte '{code}' inside one"
    assert parser.in_stream


def test_stream_stop_may_not_come_outside_a_streamed_block() -> None:
    parser = _parser(2)
    with pytest.raises(ProtocolError) as caught:
        parser.parse(wire.stream_stop())
    assert str(caught.value) == (
        "Stream Stop, offset 0: expected this message only inside a streamed block, "
        "found type byte 'E' outside one"
    )


@pytest.mark.parametrize("payload", [b"S\0\0\0\1", b"S\0\0\0\1\1\0"])
def test_a_damaged_stream_start_changes_nothing(payload: bytes) -> None:
    parser = _parser(2)
    with pytest.raises(ProtocolError, match="Stream Start"):
        parser.parse(payload)
    assert not parser.in_stream
    assert parser.parse(wire.insert(1, [None])) == InsertMessage(1, (None,))


def test_a_damaged_stream_stop_changes_nothing() -> None:
    parser = _parser(2, in_stream=True)
    with pytest.raises(ProtocolError, match=r"Stream Stop, offset 1: .* found 1 more bytes"):
        parser.parse(b"E\0")
    assert parser.in_stream
    assert parser.parse(wire.insert(1, [None], xid=4)) == InsertMessage(1, (None,), 4)


@pytest.mark.parametrize(
    ("hexadecimal", "text"),
    [
        (
            "49 00000001 4f 0000",
            "Insert, offset 5: expected a new tuple ('N'), found kind byte 0x4F",
        ),
        (
            "55 00000001 00 0000",
            "Update, offset 5: expected a tuple of kind 'K', 'O' or 'N', found kind byte 0x00",
        ),
        (
            "55 00000001 4b 0000 4b 0000",
            "Update, offset 8: expected a new tuple ('N'), found kind byte 0x4B",
        ),
        (
            "55 00000001 4b 0000",
            "Update, offset 8: expected a new tuple ('N'), found 0 bytes",
        ),
        (
            "44 00000001 4e 0000",
            "Delete, offset 5: expected an old tuple ('K' or 'O'), found kind byte 0x4E",
        ),
        (
            "49 00000001",
            "Insert, offset 5: expected relation ID and kind of tuple, found 5 bytes in all",
        ),
        (
            "52 00000001 00 00 78 0000",
            "Relation, offset 7: expected replica identity 'd', 'n', 'f' or 'i', found byte 0x78",
        ),
        (
            "52 00000001 00 00 64 ffff",
            "Relation, offset 8: expected column count of 0 or more, found -1",
        ),
        (
            "52 00000001 ff00 00 64 0000",
            "Relation, offset 5: expected namespace in UTF-8, found byte 0xFF",
        ),
        (
            "52 00000001 00 00 64 7fff 00 6100 00000017 ffffffff",
            "Relation, offset 21: expected 1 bytes of column flags, found 0 bytes",
        ),
        (
            "54 7fffffff 00 00000001",
            "Truncate, offset 6: expected 8589934588 bytes of relation IDs, found 4 bytes",
        ),
        (
            "54 ffffffff 00",
            "Truncate, offset 1: expected relation count of 0 or more, found -1",
        ),
        (
            "4d 00 0000000000000010 00 00000009 00",
            "Message, offset 15: expected 9 bytes of content, found 1 bytes",
        ),
        (
            "42 0000000000000010 00000000000000",
            "Begin, offset 9: expected 8 bytes of commit timestamp, found 7 bytes",
        ),
    ],
)
def test_damage(hexadecimal: str, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        PgoutputParser().parse(bytes.fromhex(hexadecimal))
    assert str(caught.value) == text


def test_a_short_change_in_a_streamed_block_says_that_it_wants_a_transaction() -> None:
    with pytest.raises(TruncatedMessageError) as caught:
        _parser(2, in_stream=True).parse(b"D" + bytes(8))
    assert str(caught.value) == (
        "Delete, offset 9: expected xid, relation ID and kind of tuple, found 9 bytes in all"
    )


def test_the_docstring_is_true() -> None:
    assert doctest.testmod(pgoutput).failed == 0
    assert doctest.testmod(pgoutput).attempted > 0
