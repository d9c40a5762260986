"""The environments of the peers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.environments import Environment, find_python
from benchmarks.runs import MissingPeerError


def test_the_python_that_runs_is_taken_where_it_is_new_enough() -> None:
    assert find_python(sys.version_info[:2]) == Path(sys.executable)


def test_where_no_python_is_new_enough_the_reason_is_given() -> None:
    with pytest.raises(MissingPeerError, match=r"no Python 3\.99 "):
        find_python((3, 99))


def test_what_cannot_be_installed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path))
    absent = Environment("absent", (str(tmp_path / "absent-1.0-py3-none-any.whl"),))
    with pytest.raises(MissingPeerError, match="absent cannot be installed: ERROR"):
        absent.prepare()
    assert list((tmp_path / "benchmarks").iterdir()) == []
