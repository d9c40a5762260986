"""A consumer in a process of its own, which is killed at any moment and started again.

It keeps its copy in a file, which it replaces before it asks for more, and says how far it is: a
kill is to come where it was meant to, on a machine of any speed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pglogical_cdc import DecodingFailedError, FileOffsets, ReplicationReader, SnapshotRead
from tests.snapshot.fold import Fold

__all__ = ("CannotDecodeError", "Mark", "is_undecodable", "load", "resumable", "run_until")

_ROOT: Final = Path(__file__).parents[2]

Mark: TypeAlias = Literal["start", "row", "change"]
"""How far a consumer is: its process has begun, its copy has a row of the snapshot that has come
to this process, or a change of the stream."""


_CANNOT_DECODE: Final = 3
"""The code with which a consumer ends then."""


def is_undecodable(error: BaseException) -> bool:
    """Tell whether the server says of a slot that it cannot decode what it has made itself."""
    return isinstance(error, DecodingFailedError) and "could not map file" in str(error)


class CannotDecodeError(Exception):
    """The server cannot decode the slot of a consumer."""


def run_until(
    mark: Mark, seconds: float, dsn: str, slot: str, path: Path, offsets: Path | None = None
) -> None:
    """Run the consumer, and kill it some time after it has got somewhere.

    Args:
        mark: where; a consumer that finds no row to read goes on to its first change.
        seconds: the time after that.
        dsn: where to connect.
        slot: the slot.
        path: the file of the copy.
        offsets: where the offsets of a snapshot are that is resumed; None for one that is not.

    Raises:
        CannotDecodeError: the server cannot decode its slot.
    """
    given = [dsn, slot, str(path), *([] if offsets is None else [str(offsets)])]
    command = [sys.executable, "-m", "tests.snapshot.killed", *given]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said: str = "start"
            while said not in (mark, "change", ""):
                said = process.stdout.readline().strip()
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
    if code == _CANNOT_DECODE:
        raise CannotDecodeError
    assert code is None, f"the consumer has ended by itself, with {code}"


def load(path: Path) -> Fold:
    """Return the copy that the file has."""
    if not path.exists():
        return Fold(strict=False)
    found = pickle.loads(path.read_bytes())
    assert isinstance(found, Fold)
    return found


def _save(fold: Fold, path: Path) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(pickle.dumps(fold))
    os.replace(beside, path)


def resumable(offsets: Path) -> dict[str, Any]:
    """Return the reader's arguments for a snapshot that is resumed."""
    return {
        "offsets": FileOffsets(offsets),
        "snapshot_resumable": True,
        "snapshot_chunk_rows": 250,
    }


def _consume(dsn: str, slot: str, path: Path, offsets: Path | None = None) -> None:
    fold = load(path)
    said: set[Mark] = set()
    given = {} if offsets is None else resumable(offsets)
    with ReplicationReader(
        dsn, slot=slot, publications="pub", create=True, snapshot="initial", **given
    ) as reader:
        if offsets is None and reader.stats.snapshot is not None:
            # Kept before anything is asked for: the slot of a snapshot without rows is made then.
            fold.begin_anew()
            _save(fold, path)
        for batch in reader.batches(max_rows=2000, max_seconds=0.1):
            for change in batch:
                fold.apply(change)
            _save(fold, path)
            for change in batch:
                mark: Mark = "row" if isinstance(change, SnapshotRead) else "change"
                if mark not in said:
                    said.add(mark)
                    sys.stdout.write(f"{mark}\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    try:
        _consume(sys.argv[1], sys.argv[2], *map(Path, sys.argv[3:]))
    except DecodingFailedError as error:
        if not is_undecodable(error):
            raise
        raise SystemExit(_CANNOT_DECODE) from None
