"""Feeds damaged messages to the parser: ``python -m tests.protocol.fuzz_parser --count 1000000``.

Messages of the recorded streams are cut, flipped, spliced, given hostile length fields and unknown
type bytes, or put where they may not come, in all protocol versions. Each must give a message or a
`ProtocolError`; anything else ends the run with the input and the seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import define, field

from pglogical_cdc.absent import UNCHANGED
from pglogical_cdc.errors import ProtocolError
from pglogical_cdc.protocol import BinaryValue, PgoutputParser, parse_walsender_message
from tests import golden, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("Summary", "fuzz", "main")

_LENGTHS: Final = tuple(
    length.to_bytes(4, "big", signed=True)
    for length in (0, 1, -1, 255, 65_535, 2**16, 2**31 - 1, -(2**31))
)
_COUNTS: Final = tuple(
    count.to_bytes(2, "big", signed=True) for count in (0, 1, -1, 1600, 1665, 2**15 - 1, -(2**15))
)
_PLACES: Final = (
    (1, False),
    *((version, place) for version in (2, 3, 4) for place in (False, True)),
)


@define
class Summary:
    """What came of a run."""

    inputs: int = 0
    messages: int = 0
    unexpected: list[str] = field(factory=list)
    """Other exceptions than `ProtocolError`, and what was wrong with one of those."""
    outcomes: Counter[str] = field(factory=Counter)
    """How often each class of error came, and each class of message."""
    elapsed: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.inputs:,} inputs in {self.elapsed:.1f} s: {self.messages:,} messages, "
            f"{self.inputs - self.messages - len(self.unexpected):,} protocol errors, "
            f"{len(self.unexpected)} unexpected"
        ]
        lines += [f"{count:>12,}  {name}" for name, count in self.outcomes.most_common()]
        return "\n".join([*lines, *self.unexpected])


def _cut(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    del data[random_.randrange(len(data)) :]


def _flip(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    for _ in range(random_.choice((1, 1, 1, 2, 8))):
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)


def _set_byte(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    data[random_.randrange(len(data))] = random_.randrange(256)


def _set_length(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    place = random_.randrange(len(data))
    length = random_.choice(_LENGTHS)
    data[place : place + 4] = length


def _set_count(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    place = random_.randrange(len(data))
    data[place : place + 2] = random_.choice(_COUNTS)


def _splice(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = random_.choice(corpus)
    data[random_.randrange(len(data)) :] = other[random_.randrange(len(other)) :]


def _insert_bytes(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    place = random_.randrange(len(data) + 1)
    data[place:place] = random_.randbytes(random_.randrange(1, 9))


def _delete_bytes(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    place = random_.randrange(len(data))
    del data[place : place + random_.randrange(1, 9)]


def _set_type(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    data[0] = random_.randrange(256)


def _keep(random_: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    """Leave it whole: it may still go where it may not come."""


_DAMAGES: Final[tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...]] = (
    _cut,
    _flip,
    _set_byte,
    _set_length,
    _set_count,
    _splice,
    _insert_bytes,
    _delete_bytes,
    _set_type,
    _keep,
)


@define
class _Sample:
    """A message, and a place where it may come."""

    payload: bytes
    version: int
    in_stream: bool


def _corpus() -> list[_Sample]:
    """One message of each type, length and place: in others only the values differ."""
    found: dict[tuple[int, int, int, bool], _Sample] = {}
    for name in (*golden.RAW_STREAMS, *golden.WORKLOAD_STREAMS):
        version = int(name.partition("_v")[2][0])
        parser = PgoutputParser(version)
        for _, _, payload in golden.raw_messages(name):
            in_stream = parser.in_stream
            parser.parse(payload)
            if len(payload) < 3000:
                place = (payload[0], len(payload), version, in_stream)
                found.setdefault(place, _Sample(payload, version, in_stream))
    outside = [
        wire.update(1, ["1", None], key=["0", None]),
        wire.update(1, ["1", "b"], old=["0", "a"]),
        wire.delete(2**32 - 1, key=["1", None]),
        wire.relation(1, "s", "t", [(1, "id", 23, -1), (0, "größe", 1700, 655_366)]),
        wire.origin(2**64 - 1, "elsewhere"),
        wire.truncate([1, 2, 3], options=3),
        wire.stream_commit(3_000_000_000),
        wire.stream_abort(1, 2, abort_lsn=3, abort_timestamp=-4),
        wire.begin_prepare(1, 2, -3, 4, "gid"),
        wire.prepare(1, 2, -3, 4, "gid"),
        wire.commit_prepared(1, 2, -3, 4, "gid"),
        wire.rollback_prepared(1, 2, -3, 4, 5, "gid"),
        wire.stream_prepare(1, 2, -3, 4, "gid"),
    ]
    inside = [
        wire.insert(
            2**32 - 1, ["text", None, b"", BinaryValue(b"b"), UNCHANGED], xid=3_000_000_000
        ),
        wire.logical_decoding_message("prefix", b"\0\xff", xid=5),
        wire.relation(1, "s", "t", [(1, "id", 23, -1)], xid=5),
        wire.truncate([1], xid=5),
    ]
    built = [*(_Sample(payload, 4, False) for payload in outside)]
    built += [_Sample(payload, 4, True) for payload in inside]
    return [*found.values(), *built]


def _parse_envelope(data: bytes) -> object:
    try:
        return parse_walsender_message(data)
    except ProtocolError as error:
        _check(error, data)
        raise


def _parse(random_: random.Random, payload: bytes, sample: _Sample) -> object:
    """Parse where the message belongs or, one time in five, elsewhere; some as an envelope."""
    chance = random_.random()
    if chance < 0.01:
        return _parse_envelope(payload)
    if chance < 0.03:
        # Not the plugin's message, but the envelope itself is damaged.
        envelope = bytearray(wire.xlog_data(payload) if chance < 0.02 else wire.primary_keepalive())
        random_.choice((_cut, _flip, _delete_bytes))(random_, envelope, [])
        return _parse_envelope(bytes(envelope))
    version, in_stream = sample.version, sample.in_stream
    if chance > 0.8:
        version, in_stream = random_.choice(_PLACES)
    parser = PgoutputParser(version)
    if in_stream:
        parser.parse(wire.stream_start(1))
    try:
        return parser.parse(payload)
    except ProtocolError as error:
        _check(error, payload)
        if parser.in_stream is not in_stream:
            raise AssertionError("a message that failed changed the state") from None
        raise


def _check(error: ProtocolError, data: bytes) -> None:
    """An error must say what is wrong, and point into the message."""
    if not (error.message_name and error.expected and error.found):
        raise AssertionError(f"{error!r} does not say enough")
    if not 0 <= error.offset <= len(data):
        raise AssertionError(f"{error!r} points outside of {len(data)} bytes")


def fuzz(count: int, seed: int) -> Summary:
    """Try `count` inputs; the same seed gives the same inputs."""
    random_ = random.Random(seed)
    corpus = _corpus()
    payloads = [sample.payload for sample in corpus]
    summary = Summary()
    started = time.perf_counter()
    for _ in range(count):
        sample = random_.choice(corpus)
        data = bytearray(sample.payload)
        for _ in range(random_.choice((1, 1, 1, 2, 3))):
            if data:
                random_.choice(_DAMAGES)(random_, data, payloads)
        payload = bytes(data)
        summary.inputs += 1
        try:
            message = _parse(random_, payload, sample)
        except ProtocolError as error:
            summary.outcomes[type(error).__name__] += 1
        except Exception as error:  # the subject of the search
            summary.unexpected.append(f"{error!r} of {payload.hex()}")
        else:
            summary.messages += 1
            summary.outcomes[type(message).__name__] += 1
    summary.elapsed = time.perf_counter() - started
    return summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit status is 1 if anything unexpected came."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args(arguments)
    summary = fuzz(chosen.count, chosen.seed)
    sys.stdout.write(f"seed {chosen.seed}: {summary}\n")
    return 1 if summary.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
