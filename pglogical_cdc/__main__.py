"""The command ``pglogical-cdc``, also ``python -m pglogical_cdc``."""

from __future__ import annotations

import sys

__all__ = ("main",)

_CLIENT_LIBRARIES = ("click", "rich")


def main() -> None:
    """Run the command line; say what to install where it is not complete."""
    try:
        from pglogical_cdc.cli.main import run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _CLIENT_LIBRARIES:
            raise
        sys.stderr.write(
            f"pglogical-cdc: the command line needs the package {missing}: "
            'pip install "pglogical-cdc[cli]"\n'
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
