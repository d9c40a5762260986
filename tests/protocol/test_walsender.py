"""The envelope of COPY BOTH."""

from __future__ import annotations

import pytest

from pglogical_cdc.errors import (
    ConfigurationError,
    ProtocolError,
    TruncatedMessageError,
    UnknownMessageError,
)
from pglogical_cdc.protocol import (
    PrimaryKeepalive,
    StandbyStatusUpdate,
    XLogData,
    parse_walsender_message,
)
from tests import wire

_XLOG_DATA = bytes.fromhex("77 00000016b374d848 00000016b374d850 0002a1d2f3b4c5d6 4200ff")


@pytest.mark.parametrize("container", [bytes, memoryview])
def test_xlog_data(container: type[bytes]) -> None:
    message = parse_walsender_message(container(_XLOG_DATA))
    assert message == XLogData(0x16B374D848, 0x16B374D850, 0x2A1D2F3B4C5D6, b"B\0\xff")
    assert isinstance(message, XLogData)
    assert type(message.payload) is bytes


def test_xlog_data_with_the_highest_lsn_and_no_payload() -> None:
    data = wire.xlog_data(b"", 2**64 - 1, 2**64 - 1, -1)
    assert parse_walsender_message(data) == XLogData(2**64 - 1, 2**64 - 1, -1, b"")


def test_repr_of_xlog_data_shows_no_payload() -> None:
    assert repr(XLogData(1, 2, 3, b"secret")) == (
        "XLogData(start_lsn=1, end_lsn=2, send_time=3, payload=<6 bytes>)"
    )


@pytest.mark.parametrize(("flag", "requested"), [("00", False), ("01", True)])
@pytest.mark.parametrize("container", [bytes, memoryview])
def test_primary_keepalive(container: type[bytes], flag: str, requested: bool) -> None:
    data = bytes.fromhex("6b 00000016b374d848 0002a1d2f3b4c5d6" + flag)
    expected = PrimaryKeepalive(0x16B374D848, 0x2A1D2F3B4C5D6, requested)
    message = parse_walsender_message(container(data))
    assert message == expected
    assert isinstance(message, PrimaryKeepalive)
    assert message.reply_requested is requested
    assert wire.primary_keepalive(0x16B374D848, 0x2A1D2F3B4C5D6, reply_requested=requested) == data


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", TruncatedMessageError, "CopyData, offset 0: expected a type byte, found 0 bytes"),
        (
            _XLOG_DATA[:24],
            TruncatedMessageError,
            "XLogData, offset 24: expected two LSNs and a time, found 24 bytes in all",
        ),
        (
            b"k" + bytes(16),
            TruncatedMessageError,
            "Primary keepalive message, offset 17: expected an LSN, a time and a flag, "
            "found 17 bytes in all",
        ),
        (
            b"k" + bytes(19),
            ProtocolError,
            "Primary keepalive message, offset 18: expected the end of the message, "
            "found 2 more bytes",
        ),
        (
            b"r" + bytes(33),
            UnknownMessageError,
            "CopyData, offset 0: expected XLogData ('w') or a primary keepalive message ('k'), "
            "found type byte 0x72",
        ),
    ],
)
@pytest.mark.parametrize("container", [bytes, memoryview])
def test_damage(container: type[bytes], data: bytes, error: type[ProtocolError], text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_walsender_message(container(data))
    assert type(caught.value) is error
    assert str(caught.value) == text


def test_standby_status_update() -> None:
    update = StandbyStatusUpdate(0x10, 0x20, 2**64 - 1, -1)
    assert update.encode() == bytes.fromhex(
        "72 0000000000000010 0000000000000020 ffffffffffffffff ffffffffffffffff 00"
    )
    asking = StandbyStatusUpdate(1, 2, 3, 4, reply_requested=True)
    assert asking.encode() == wire.standby_status_update(1, 2, 3, 4, reply_requested=True)
    assert asking.encode()[-1:] == b"\1"


@pytest.mark.parametrize(
    "update",
    [
        StandbyStatusUpdate(-1, 0, 0, 0),
        StandbyStatusUpdate(0, 2**64, 0, 0),
        StandbyStatusUpdate(0, 0, 0, 2**63),
    ],
)
def test_a_status_update_that_does_not_fit_is_refused(update: StandbyStatusUpdate) -> None:
    with pytest.raises(ConfigurationError, match="the LSNs of a status update are unsigned"):
        update.encode()
