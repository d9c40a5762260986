"""The command line: ``pglogical-cdc`` and what only its commands need."""

from __future__ import annotations

__all__ = ()
