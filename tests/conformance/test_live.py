"""The real connector and our reader beside it, on one server and one workload.

Nothing but the connector's own clock is masked: LSNs, transactions, sequences and commit times are
those of the same changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from tests.conformance import more_tables
from tests.conformance.beside import Beside, follow
from tests.conformance.java import Java
from tests.golden import workload
from tests.golden.comparison import differences, formatted, run_id, streamed
from tests.golden.configurations import CONFIGURATIONS, formatter_for, transforms_for
from tests.servers import Server

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

_CHOSEN: Final = (
    *("default", "txmeta_schemas", "all_in_schemas", "columns_truncated"),
    *("unwrap_rewrite_with_tombstone_schemas", "unwrap_changes"),
)
_SCHEMAS: Final = {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}
_MORE: Final[Mapping[str, Mapping[str, str]]] = {
    "precise_txmeta": {
        **_SCHEMAS,
        "provide.transaction.metadata": "true",
        "skipped.operations": "none",
        "column.propagate.source.type": r"public\.defaults_.*",
    },
    "double_connect": {
        **_SCHEMAS,
        "decimal.handling.mode": "double",
        "time.precision.mode": "connect",
        "interval.handling.mode": "string",
        "binary.handling.mode": "hex",
        "skipped.operations": "u,d",
        "provide.transaction.metadata": "true",
        "column.truncate.to.4.chars": r"public\.words\.(exact|wide|fixed)",
    },
    "string_iso": {
        **_SCHEMAS,
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "include.unknown.datatypes": "true",
        "hstore.handling.mode": "map",
        "skip.messages.without.change": "true",
        "skipped.operations": "none",
        "column.mask.with.3.chars": r"public\.words\..*,public\.defaults_.*\.c1.*",
        "column.mask.hash.SHA-512.with.salt.s": r"public\.two\.v",
    },
    "numbers": {
        **_SCHEMAS,
        "key.converter.decimal.format": "NUMERIC",
        "value.converter.decimal.format": "NUMERIC",
        "header.converter.decimal.format": "NUMERIC",
        "extended.headers.enabled": "false",
    },
    "nanoseconds": {
        "time.precision.mode": "nanoseconds",
        "binary.handling.mode": "base64-url-safe",
        "tombstones.on.delete": "false",
        "column.include.list": r"public\.(one|words|sync_marker)\..*,public\.defaults.*\.c[2-9]\d*",
    },
}


class _Case(NamedTuple):
    beside: Beside
    configurations: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def recorded(
    java: Java, conformance_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> _Case:
    """The recorded workload, live."""
    chosen = {name: CONFIGURATIONS[name] for name in _CHOSEN}
    folder = tmp_path_factory.mktemp("recorded")
    schema, parts = workload.schema(), workload.parts()
    return _Case(follow(java, conformance_server, schema, parts, chosen, folder), chosen)


@pytest.fixture(scope="module")
def more(java: Java, conformance_server: Server, tmp_path_factory: pytest.TempPathFactory) -> _Case:
    """What the recorded workload has not."""
    folder = tmp_path_factory.mktemp("more")
    return _Case(
        follow(java, conformance_server, more_tables.SCHEMA, more_tables.PARTS, _MORE, folder),
        _MORE,
    )


def _check(case: _Case, name: str) -> None:
    properties = case.configurations[name]
    records = case.beside.records[name]
    theirs = list(streamed(records))
    formatter = formatter_for(properties, run_id=run_id(records))

    ours = formatted(case.beside.changes, formatter, transforms_for(properties))

    assert len(theirs) > len(case.beside.parts)
    assert differences(ours, theirs) == []


@pytest.mark.parametrize("name", _CHOSEN)
def test_the_recorded_workload(recorded: _Case, name: str) -> None:
    _check(recorded, name)


@pytest.mark.parametrize("name", _MORE)
def test_more_tables(more: _Case, name: str) -> None:
    _check(more, name)
