"""The text of floating point numbers is that of the JVM that runs the engine."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest

from pglogical_cdc.formatters.wire.java_text import float4_json, float8_json
from tests.conformance.java import Java

pytestmark = pytest.mark.conformance

_PROGRAM: Final = Path(__file__).with_name("FloatText.java")
_COUNT: Final = 200_000

Kind = Literal["double", "float"]


def _bits(kind: Kind, r: random.Random) -> Iterator[int]:
    size, pack, unpack = (64, "<d", "<Q") if kind == "double" else (32, "<f", "<I")
    powers = (-1074, 1023) if kind == "double" else (-149, 127)
    for number in range(_COUNT):
        value: float
        match number % 5:
            case 0:
                yield r.getrandbits(size)
                continue
            case 1:
                value = round(r.uniform(-1e5, 1e5), r.randint(0, 10))
            case 2:
                value = float(r.getrandbits(r.randint(1, 64)))
            case 3:
                value = 2.0 ** r.randint(*powers) * r.choice((1, -1))
            case _:
                value = float(f"{r.randint(1, 10 ** r.randint(1, 17))}e{r.randint(-20, 20)}")
        (bits,) = struct.unpack(unpack, struct.pack(pack, value))
        yield bits


def _postgres_text(kind: Kind, bits: int) -> str:
    """Return the shortest text of a number, which is what PostgreSQL sends."""
    if kind == "double":
        (value,) = struct.unpack("<d", struct.pack("<Q", bits))
        return repr(value).removesuffix(".0")
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next(
        text for text in texts if struct.pack("<f", float(text)) == struct.pack("<f", value)
    )


@pytest.mark.parametrize("kind", ["double", "float"])
def test_digits(kind: Kind, java: Java) -> None:
    finite = 0x7FF0_0000_0000_0000 if kind == "double" else 0x7F80_0000
    numbers = [bits for bits in _bits(kind, random.Random(17)) if bits & finite != finite]
    command = [java.executable, str(_PROGRAM), kind]
    lines = "".join(f"{bits:x}\n" for bits in numbers)

    ran = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)

    convert = float8_json if kind == "double" else float4_json
    ours = [convert(_postgres_text(kind, bits).encode()).decode() for bits in numbers]
    assert len(ours) > _COUNT * 0.9
    assert ours == ran.stdout.split()
