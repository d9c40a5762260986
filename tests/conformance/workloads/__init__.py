"""Workloads that the connector and our reader follow side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.conformance.workloads.alterations import ALTERATIONS
from tests.conformance.workloads.copies import COPIES
from tests.conformance.workloads.defaults import DEFAULTS
from tests.conformance.workloads.keys import KEYS
from tests.conformance.workloads.more import MORE
from tests.conformance.workloads.names import ADJUSTED_NAMES, NAMES
from tests.conformance.workloads.partitions import COLUMN_LISTS, PARTITIONS, ROOTS
from tests.conformance.workloads.types import TYPES
from tests.conformance.workloads.values import TIMES, VALUES
from tests.conformance.workloads.workload import Workload

__all__ = ("WORKLOADS", "Workload")

WORKLOADS: Final[Mapping[str, Workload]] = {
    "more": MORE,
    "keys": KEYS,
    "copies": COPIES,
    "types": TYPES,
    "values": VALUES,
    "times": TIMES,
    "defaults": DEFAULTS,
    "names": NAMES,
    "adjusted_names": ADJUSTED_NAMES,
    "partitions": PARTITIONS,
    "roots": ROOTS,
    "alterations": ALTERATIONS,
    "column_lists": COLUMN_LISTS,
}
