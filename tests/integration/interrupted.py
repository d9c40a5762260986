"""Programs that are interrupted while they read; tests run them as processes of their own.

``python -m tests.integration.interrupted wait|body|storm DSN SLOT``
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Final

from pglogical_cdc import ConnectionLostError, ReplicationReader

__all__ = ()

_STORM_ROWS: Final = 400


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201  the test reads it


def _wait(dsn: str, slot: str) -> None:
    """Say each key, then wait for more."""
    with ReplicationReader(dsn, slot=slot, publications="pub") as reader:
        for change in reader:
            assert change.key is not None
            _say(change.key["id"])


def _body(dsn: str, slot: str) -> None:
    """Say each key, and stay for long with the third."""
    with ReplicationReader(dsn, slot=slot, publications="pub") as reader:
        for change in reader:
            assert change.key is not None
            _say(change.key["id"])
            if change.key["id"] == 3:
                time.sleep(60)


def _storm(dsn: str, slot: str) -> None:
    """Be interrupted all the time; each change has to come, and none before the one before it."""
    seen, interrupts, goings_on, delay = -1, 0, 0, 0.0
    slowness, seen_before = 1, -1

    def arm() -> None:
        nonlocal delay, slowness, seen_before
        # Long enough now and then for a connection that is made anew, however long that takes here.
        delay += 0.00337 * slowness
        if delay >= 0.12 * slowness:
            delay %= 0.12 * slowness
            if seen == seen_before:
                slowness *= 2
            seen_before = seen
        signal.setitimer(signal.ITIMER_REAL, 0.002 + delay)

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    while seen < _STORM_ROWS - 1:
        reader = ReplicationReader(dsn, slot=slot, publications="pub")
        reader.open()
        while seen < _STORM_ROWS - 1:
            try:
                arm()
                for change in reader:
                    assert change.key is not None
                    key = change.key["id"]
                    assert isinstance(key, int)
                    assert key <= seen + 1, f"{seen + 1} was passed, {key} came"
                    seen = max(seen, key)
                    if seen == _STORM_ROWS - 1:
                        break
                    if key % 5 == 0:
                        time.sleep(0.01)
            except KeyboardInterrupt:
                interrupts += 1
            except ConnectionLostError:
                break
            else:
                break
            goings_on += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        reader.close()
    _say(interrupts, goings_on)


if __name__ == "__main__":
    {"wait": _wait, "body": _body, "storm": _storm}[sys.argv[1]](*sys.argv[2:])
