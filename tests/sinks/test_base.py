from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.formatters.base import Record
from pglogical_cdc.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence


class Subclassed(Sink[Record]):
    def write(self, items: Sequence[Record], /) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Duck:
    def write(self, items: Sequence[Record], /) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class WithoutFlush:
    def write(self, items: Sequence[Record], /) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("candidate", "expected"), [(Subclassed(), True), (Duck(), True), (WithoutFlush(), False)]
)
def test_a_sink_has_three_methods(candidate: object, expected: bool) -> None:
    assert isinstance(candidate, Sink) is expected
