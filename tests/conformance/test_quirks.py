"""What the page of quirks calls Debezium's output is what the real connector writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.beside import follow
from tests.conformance.java import Java
from tests.conformance.workloads.workload import SCHEMAS, Workload
from tests.golden.comparison import differences, formatted, run_id, streamed
from tests.golden.configurations import formatter_for
from tests.quirks.cases import BENT
from tests.servers import Server

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

_BEFORE: Final = "CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('a', 'b')"
_TABLE: Final = re.compile(r"\bp(?=_u_key\b|\b)")
"""The table of a quirk, and its index."""


def _properties(options: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", "."): json.dumps(value).strip('"') for name, value in options.items()}


def test_bent_records_are_the_connectors(
    java: Java, conformance_server: Server, tmp_path: Path
) -> None:
    schema, parts, options = [], [], []
    for number, quirk in enumerate(BENT):
        ddl = _TABLE.sub(f"p{number}", quirk.ddl)
        schema += [part for part in ddl.split(";") if "CREATE TYPE" not in part]
        parts.append((f"part{number}", _TABLE.sub(f"p{number}", quirk.sql)))
        if quirk.options not in options:
            options.append(quirk.options)
    configurations = {
        f"configuration{number}": {**SCHEMAS, **_properties(each)}
        for number, each in enumerate(options)
    }

    workload = Workload(";".join([_BEFORE, *schema]), parts, configurations)
    beside = follow(java, conformance_server, workload, tmp_path)

    assert len(configurations) > 4
    for name, properties in configurations.items():
        records = beside.records[name]
        theirs = list(streamed(records))
        ours = formatted(beside.changes, formatter_for(properties, run_id=run_id(records)))
        assert {f"dbz.public.p{number}" for number in range(len(BENT))} <= {
            record["topic"] for record in theirs
        }
        assert differences(ours, theirs) == []
