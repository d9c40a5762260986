"""Runs a server of MongoDB's protocol, as nobody where root starts it."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import pwd
import sys

import secantus  # type: ignore[import-untyped]
from secantus import cli

__all__ = ()


def _become_nobody() -> None:
    # Nobody may be unable to read the interpreter's folder, as in root's home. So what the server
    # imports when it needs it has to be there before.
    for name in [each.name for each in pkgutil.iter_modules(secantus.__path__)]:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"secantus.{name}")
    for name in ("dateutil.relativedelta", "encodings.idna", "resource", "stringprep", "uuid"):
        importlib.import_module(name)
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


if __name__ == "__main__":
    if os.geteuid() == 0:
        _become_nobody()
    sys.exit(cli.main())
