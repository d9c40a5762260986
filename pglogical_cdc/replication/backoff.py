"""Backoff: how long to wait before the next attempt to reconnect. Pure."""

from __future__ import annotations

import math
import random

from attrs import field

from pglogical_cdc._attrs import record
from pglogical_cdc.errors import ConfigurationError

__all__ = ("Backoff",)


@record
class Backoff:
    """Growing pauses between attempts to reconnect.

    The pause before attempt ``n`` is ``initial * factor ** (n - 1)`` seconds, at most `maximum`,
    more or less by up to a share of `jitter`, so that the readers of a server that has come back do
    not all come at once.

    Args:
        initial: seconds before the first attempt.
        maximum: seconds at most.
        factor: by how much each pause is longer than the one before.
        jitter: share of the pause, from 0 to 1.
        tries: failed attempts in a row after which the error is raised; None to go on for ever.

    Raises:
        ConfigurationError: a value is out of its range.
    """

    initial: float = field(default=0.1)
    maximum: float = field(default=30.0)
    factor: float = field(default=2.0)
    jitter: float = field(default=0.2)
    tries: int | None = field(default=None)

    def __attrs_post_init__(self) -> None:
        for name, value, least, most in (
            ("initial", self.initial, 0.0, math.inf),
            ("maximum", self.maximum, self.initial, math.inf),
            ("factor", self.factor, 1.0, math.inf),
            ("jitter", self.jitter, 0.0, 1.0),
            ("tries", 0 if self.tries is None else self.tries, 0, math.inf),
        ):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not least <= value <= most or value == math.inf:
                raise ConfigurationError(
                    f"Backoff: {name} is {value!r}; expected a finite number from {least:g}"
                    + ("" if most == math.inf else f" to {most:g}")
                )

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait before an attempt.

        Args:
            attempt: 1 for the first after a failure.
        """
        try:
            pause = self.initial * self.factor ** (attempt - 1)
        except OverflowError:
            pause = self.maximum if self.initial else 0.0
        return min(pause, self.maximum) * (1 + self.jitter * random.uniform(-1, 1))
