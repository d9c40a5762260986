"""What of a record is compared, and the records that a formatter makes of changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pglogical_cdc import Change, Formatter, Pipeline, Position, Record, Sink, Transform

__all__ = ("Line", "agree", "differences", "fields_of", "formatted", "masked", "run_id", "streamed")


class Line(NamedTuple):
    """A record as it is compared: text, byte for byte, but for what `masked` hides."""

    topic: str
    key: str | None
    value: str | None
    headers: tuple[tuple[str, str], ...]


# Each begins with plain text, which the engine of regular expressions finds fastest.
_CLOCK: Final = re.compile(r',"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+(?=}{1,2}$)')
_MESSAGE_CLOCK: Final = re.compile(r'{"op":"m","ts_ms":\d+')
_UNWRAPPED_CLOCK: Final = re.compile(r'"__ts_ms":\d+')
_MESSAGE_ID: Final = re.compile(
    r"io\.debezium\.connector\.postgresql\.LogicalDecodingMessageMonitor"
    r"\$LogicalDecodingMessageId@[0-9a-f]+"
)
_JAVA_OBJECT: Final = re.compile(r'"\[Ljava\.lang\.\w+;@[0-9a-f]+"')


def masked(text: str | None) -> str | None:
    """Return a text without the connector's clock."""
    if text is None:
        return None
    text = _MESSAGE_CLOCK.sub('{"op":"m","clock":0', _CLOCK.sub(',"clock":0', text))
    return _UNWRAPPED_CLOCK.sub('"__ts_ms":0', text)


def agree(ours: str | None, theirs: str | None) -> bool:
    """Tell whether two masked texts are the same.

    Identities of Java objects, which no other program can write, match anything: the elements of
    an array of arrays, and the name of a message among the data collections of a transaction. Where
    there is such a name, the collections are in no order.
    """
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    if _MESSAGE_ID.search(theirs):
        return _collections(ours) == _collections(theirs)
    pieces = _JAVA_OBJECT.split(theirs)
    pattern = '"(?:[^"\\\\]|\\\\.)*"'.join(map(re.escape, pieces))
    return len(pieces) > 1 and re.fullmatch(pattern, ours) is not None


def _collections(text: str) -> tuple[object, ...]:
    content = json.loads(_MESSAGE_ID.sub("dbz.message", text))
    payload = content.get("payload", content)
    listed = payload.pop("data_collections", [])
    return content, sorted(json.dumps(each) for each in listed)


def streamed(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the records that come from the stream: not the snapshot's, and no heartbeats."""
    for record in records:
        is_heartbeat = record["topic"].startswith("__debezium-heartbeat")
        if not is_heartbeat and "snapshot" not in record["source_offset"]:
            yield record


def line_of(record: dict[str, Any]) -> Line:
    """Return an engine's record as it is compared."""
    headers = tuple((header["key"], str(masked(header["value"]))) for header in record["headers"])
    return Line(record["topic"], record["key"], masked(record["value"]), headers)


def our_line(record: Record) -> Line:
    """Return our record as it is compared."""
    headers = tuple((key, str(masked(value.decode()))) for key, value in record.headers)
    key, value = record.key, record.value
    return Line(
        record.topic,
        None if key is None else key.decode(),
        None if value is None else masked(value.decode()),
        headers,
    )


def differences(ours: Sequence[Record], theirs: Sequence[dict[str, Any]]) -> list[str]:
    """Describe what differs, record by record."""
    found = []
    if len(ours) != len(theirs):
        found.append(f"{len(ours)} records of ours, {len(theirs)} of theirs")
    for number, (record, expected) in enumerate(zip(ours, theirs, strict=False)):
        left, right = our_line(record), line_of(expected)
        for part, mine, other in (
            ("topic", left.topic, right.topic),
            ("key", left.key, right.key),
            ("value", left.value, right.value),
            ("headers", str(left.headers), str(right.headers)),
        ):
            if not agree(mine, other):
                found.append(_difference(f"record {number}, {right.topic}, {part}", mine, other))
    return found


def fields_of(record: dict[str, Any]) -> int:
    """Count the values in key, value and headers of an engine's record that are no objects."""
    headers = [_fields(header["value"]) for header in record["headers"]]
    return _fields(record["key"]) + _fields(record["value"]) + sum(headers)


def _fields(text: str | None) -> int:
    return 0 if text is None else _leaves(json.loads(text))


def _leaves(content: Any) -> int:
    if isinstance(content, dict):
        return sum(map(_leaves, content.values()))
    return sum(map(_leaves, content)) if isinstance(content, list) else 1


def _difference(where: str, ours: str | None, theirs: str | None) -> str:
    mine, other = str(ours), str(theirs)
    pairs = enumerate(zip(mine, other, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(mine), len(other)))
    start = max(0, at - 100)
    return f"{where}:\n  ours   {mine[start : at + 80]}\n  theirs {other[start : at + 80]}"


def run_id(records: Sequence[dict[str, Any]]) -> str:
    """Return the header ``runId`` of an engine's records; empty if no record has it."""
    for record in records:
        for header in record["headers"]:
            if header["key"] == "__debezium.context.runId":
                return str(json.loads(header["value"]))
    return ""


class _Recorded:
    """A source of changes for a pipeline: those of a list."""

    is_open = True
    has_unacknowledged = False

    def __init__(self, changes: Sequence[Change]) -> None:
        self._rest = iter(changes)
        self.ended = False

    def poll(self, timeout: float | None = 0.0) -> Change | None:
        change = next(self._rest, None)
        self.ended = change is None
        return change

    def ack(self, up_to: Change | Position, /) -> None:
        pass

    def stop(self) -> None:
        self.ended = True

    def close(self) -> None:
        pass


class _Collected(Sink[Record]):
    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, items: Sequence[Record]) -> None:
        self.records += items

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def formatted(
    changes: Sequence[Change], formatter: Formatter, transforms: Iterable[Transform] = ()
) -> list[Record]:
    """Return what a pipeline writes of some changes."""
    sink = _Collected()
    Pipeline(_Recorded(changes), formatter=formatter, sink=sink, transforms=transforms).run()
    return sink.records
