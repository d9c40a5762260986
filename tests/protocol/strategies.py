"""Hypothesis strategies for messages of pgoutput."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.protocol import (
    BeginMessage,
    BeginPrepareMessage,
    BinaryValue,
    CommitMessage,
    CommitPreparedMessage,
    DeleteMessage,
    InsertMessage,
    LogicalDecodingMessage,
    OriginMessage,
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
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from pglogical_cdc.protocol import Message

__all__ = ("VERSIONS", "messages", "messages_in_context", "tuples")

VERSIONS = (1, 2, 3, 4)

_BYTE = st.integers(0, 2**8 - 1)
_UINT32 = st.integers(0, 2**32 - 1) | st.just(3_000_000_000)
_INT32 = st.integers(-(2**31), 2**31 - 1)
_LSN = st.integers(0, 2**64 - 1)
_TIME = st.integers(-(2**63), 2**63 - 1)
_STRING = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
# An empty schema stands for pg_catalog on the wire.
_NAMESPACE = st.just("pg_catalog") | _STRING.filter(bool)

_VALUE = (
    st.none()
    | st.just(UNCHANGED)
    | st.binary(max_size=20)
    | st.builds(BinaryValue, st.binary(max_size=20))
)
tuples = st.lists(_VALUE, max_size=6).map(tuple)

_COLUMN = st.builds(RelationColumn, _BYTE, _STRING, _UINT32, _INT32)
_COLUMNS = st.lists(_COLUMN, max_size=4).map(tuple)


def _change_messages(xid: SearchStrategy[int | None]) -> list[SearchStrategy[Message]]:
    """What comes inside streamed blocks and outside."""
    old = st.sampled_from(["K", "O"])
    return [
        st.builds(LogicalDecodingMessage, _BYTE, _LSN, _STRING, st.binary(max_size=20), xid),
        st.builds(OriginMessage, _LSN, _STRING),
        st.builds(
            RelationMessage, _UINT32, _NAMESPACE, _STRING, st.sampled_from("dnfi"), _COLUMNS, xid
        ),
        st.builds(TypeMessage, _UINT32, _NAMESPACE, _STRING, xid),
        st.builds(InsertMessage, _UINT32, tuples, xid),
        st.builds(UpdateMessage, _UINT32, st.none(), st.none(), tuples, xid),
        st.builds(UpdateMessage, _UINT32, old, tuples, tuples, xid),
        st.builds(DeleteMessage, _UINT32, old, tuples, xid),
        st.builds(TruncateMessage, st.lists(_UINT32, max_size=4).map(tuple), _BYTE, xid),
    ]


def messages(version: int, *, in_stream: bool) -> SearchStrategy[Message]:
    """Messages that a parser of a version takes, inside or outside a streamed block."""
    if in_stream:
        return st.one_of(*_change_messages(_UINT32), st.builds(StreamStopMessage))
    chosen: list[SearchStrategy[Message]] = [
        *_change_messages(st.none()),
        st.builds(BeginMessage, _LSN, _TIME, _UINT32),
        st.builds(CommitMessage, _BYTE, _LSN, _LSN, _TIME),
        st.builds(StreamAbortMessage, _UINT32, _UINT32),
    ]
    if version >= 2:
        chosen.append(st.builds(StreamStartMessage, _UINT32, st.booleans()))
        chosen.append(st.builds(StreamCommitMessage, _UINT32, _BYTE, _LSN, _LSN, _TIME))
    if version >= 3:
        two_phase = (_BYTE, _LSN, _LSN, _TIME, _UINT32, _STRING)
        chosen.append(st.builds(BeginPrepareMessage, _LSN, _LSN, _TIME, _UINT32, _STRING))
        chosen.append(st.builds(PrepareMessage, *two_phase))
        chosen.append(st.builds(CommitPreparedMessage, *two_phase))
        chosen.append(st.builds(StreamPrepareMessage, *two_phase))
        chosen.append(
            st.builds(RollbackPreparedMessage, _BYTE, _LSN, _LSN, _TIME, _TIME, _UINT32, _STRING)
        )
    if version >= 4:
        chosen.append(st.builds(StreamAbortMessage, _UINT32, _UINT32, _LSN, _TIME))
    return st.one_of(*chosen)


@st.composite
def messages_in_context(draw: st.DrawFn) -> tuple[int, bool, Message]:
    """Draw a version, whether the parser is in a streamed block, and a message for it."""
    version = draw(st.sampled_from(VERSIONS))
    in_stream = version > 1 and draw(st.booleans())
    return version, in_stream, draw(messages(version, in_stream=in_stream))
