"""Destinations.

Those that need a client library of their own are imported by their module's path.
"""

from __future__ import annotations

from pglogical_cdc.sinks.base import AsyncSink, Sink
from pglogical_cdc.sinks.files import FileSink, StdoutSink

__all__ = ("FileSink", "AsyncSink", "Sink", "StdoutSink")
