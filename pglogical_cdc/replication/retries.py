"""Retries: which errors are worth another attempt, and how many in a row. Pure.

The class of an error decides, and that comes from its SQLSTATE: `pglogical_cdc.postgres.diagnosis`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pglogical_cdc.errors import CdcError, DecodingFailedError, SlotInUseError
from pglogical_cdc.replication.backoff import Backoff

__all__ = ("Retries",)

_DECODING_TRIES: Final = 3
"""Attempts at a transaction that the server cannot decode; lack of memory can be a reason too."""

_SLOT_TRIES_EVERY: Final = 1.0
"""Seconds at most between attempts at a slot that somebody holds."""

_STEADY: Final = 5.0
"""Seconds after which a stream counts as one that works, though nothing came."""


class Retries:
    """Counts failures in a row.

    Args:
        backoff: pauses and number of attempts; None for no attempt at all.
        clock: seconds, monotonic.
    """

    def __init__(
        self, backoff: Backoff | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.slot_patience = 0.0
        """Seconds for which a slot that somebody holds is worth attempts."""
        self.failures = 0
        """Failures in a row."""
        self._backoff = backoff
        self._clock = clock
        self._undecoded = 0
        self._in_use_since: float | None = None
        self._streaming_since: float | None = None

    def streaming(self) -> None:
        """A stream has started; not yet a success, it may break at the same place again."""
        self._in_use_since = None
        self._streaming_since = self._clock()

    def progressed(self) -> None:
        """Something came that had not come before."""
        self.failures = self._undecoded = 0

    def delay(self, error: CdcError) -> float | None:
        """Note a failure; return the seconds to the next attempt, None if there is to be none."""
        now = self._clock()
        since, self._streaming_since = self._streaming_since, None
        if since is not None and now - since >= _STEADY:
            self.failures = 0
        if self._backoff is None:
            return None
        if isinstance(error, SlotInUseError):
            return self._slot_delay(now)
        self._in_use_since = None
        if isinstance(error, DecodingFailedError):
            self._undecoded += 1
            if self._undecoded >= _DECODING_TRIES:
                return None
        elif not error.retryable:
            return None
        self.failures += 1
        if self._backoff.tries is not None and self.failures > self._backoff.tries:
            return None
        return self._backoff.delay(self.failures)

    def _slot_delay(self, now: float) -> float | None:
        assert self._backoff is not None
        if self._in_use_since is None:
            self._in_use_since = now
        if now - self._in_use_since >= self.slot_patience:
            return None
        self.failures += 1
        return min(self._backoff.delay(self.failures), _SLOT_TRIES_EVERY)
