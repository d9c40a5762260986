"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import ssl
from pathlib import Path

import psycopg

import pglogical_cdc

__all__ = ("describe",)


def describe(postgresql: str, rounds: int, scale: float) -> dict[str, str]:
    """Tell the versions, the machine, and the sizes."""
    return {
        "pglogical_cdc": pglogical_cdc.__version__,
        "Python": platform.python_version(),
        "psycopg": f"{psycopg.__version__} ({psycopg.pq.__impl__})",
        "libpq": _dotted(psycopg.pq.version()),
        "PostgreSQL": postgresql,
        "OpenSSL of Python": ssl.OPENSSL_VERSION,
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "rounds": str(rounds),
        "scale": f"{scale:g}",
    }


def _dotted(version: int) -> str:
    return f"{version // 10000}.{version % 10000}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
