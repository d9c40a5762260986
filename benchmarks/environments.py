"""Virtual environments of the peers, kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from benchmarks.runs import MissingPeerError

__all__ = ("Environment", "find_python")

_NEWEST: Final = (3, 14)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with just these packages."""

    name: str
    requirements: tuple[str, ...]
    """Pinned, with all that they need: nothing else is installed."""
    python: tuple[int, int] = sys.version_info[:2]
    """The oldest Python that will do."""

    def prepare(self) -> Path:
        """Make the environment unless it is there, and return its Python.

        Raises:
            MissingPeerError: there is no such Python, or a package cannot be installed.
        """
        python = find_python(self.python)
        key = "\n".join((str(python.resolve()), *self.requirements))
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        folder = _cache() / f"{self.name}-{digest}"
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Made beside and then renamed: another process sees all of it or nothing.
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                made = Path(scratch) / "made"
                self._make(python, made)
                try:
                    made.rename(folder)
                except OSError:
                    if not folder.is_dir():
                        raise
        return _python_of(folder)

    def _make(self, python: Path, folder: Path) -> None:
        self._call([str(python), "-m", "venv", str(folder)])
        pip = [str(_python_of(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        options = ["--quiet", "--no-deps", "--only-binary=:all:"]
        self._call([*pip, "install", *options, *self.requirements])

    def _call(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = errors[-1] if errors else f"{' '.join(command[1:3])} failed"
            raise MissingPeerError(f"{self.name} cannot be installed: {reason}")


def find_python(oldest: tuple[int, int]) -> Path:
    """Find a Python of this version or the next newer one, beginning with the one that runs.

    Raises:
        MissingPeerError: there is none.
    """
    for candidate in _candidates(oldest):
        question = [candidate, "-c", "import sys; print(*sys.version_info[:2])"]
        done = subprocess.run(question, capture_output=True, text=True, check=False)
        # A shim on the PATH may stand for a version that is not the chosen one, and fail.
        if done.returncode == 0 and tuple(map(int, done.stdout.split())) >= oldest:
            return Path(candidate)
    version = ".".join(map(str, oldest))
    raise MissingPeerError(
        f"no Python {version} or newer is on the PATH or among the versions of pyenv"
    )


def _candidates(oldest: tuple[int, int]) -> Iterator[str]:
    if sys.version_info[:2] >= oldest:
        yield sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in range(oldest[1], _NEWEST[1] + 1):
        name = f"python{oldest[0]}.{minor}"
        found = shutil.which(name)
        if found:
            yield found
        yield from map(str, sorted(pyenv.glob(f"*/bin/{name}")))


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _cache() -> Path:
    return Path(platformdirs.user_cache_dir("pglogical-cdc")) / "benchmarks"
