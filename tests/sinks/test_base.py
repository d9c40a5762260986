"""Tests of `pglogical_cdc.sinks.base`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.formatters.base import Record
from pglogical_cdc.sinks.base import AsyncSink, Sink

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


class AsyncSubclassed(AsyncSink[Record]):
    async def write(self, items: Sequence[Record], /) -> None: ...

    async def flush(self) -> None: ...

    async def close(self) -> None: ...


class AsyncDuck:
    async def write(self, items: Sequence[Record], /) -> None: ...

    async def flush(self) -> None: ...

    async def close(self) -> None: ...


class AsyncWithoutClose:
    async def write(self, items: Sequence[Record], /) -> None: ...

    async def flush(self) -> None: ...


@pytest.mark.parametrize(
    ("candidate", "expected"), [(Subclassed(), True), (Duck(), True), (WithoutFlush(), False)]
)
def test_a_sink_has_three_methods(candidate: object, expected: bool) -> None:
    assert isinstance(candidate, Sink) is expected


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [(AsyncSubclassed(), True), (AsyncDuck(), True), (AsyncWithoutClose(), False)],
)
def test_an_asynchronous_sink_has_the_same(candidate: object, expected: bool) -> None:
    assert isinstance(candidate, AsyncSink) is expected


def test_which_is_which_is_for_type_checkers() -> None:
    sinks: list[Sink[Record]] = [Subclassed(), Duck()]
    awaited: list[AsyncSink[Record]] = [AsyncSubclassed(), AsyncDuck()]
    assert len(sinks) == len(awaited)
