"""Every kind of message, as each version of PostgreSQL sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pglogical_cdc.protocol import PgoutputParser
from tests.protocol import server_workload
from tests.wire import build

if TYPE_CHECKING:
    from tests.servers import Database

# Type bytes by protocol version; two-phase commit is in the streams of versions 3 and 4.
_TYPES = {1: "BCIMORTUDY", 2: "BCIMORTUDYSEcA", 3: "BCIMORTUDYSEcAbPKrp", 4: "BCIMORTUDYSEcAbPKrp"}


@pytest.mark.pg
def test_every_message_of_a_server_parses_and_builds_again(database: Database) -> None:
    names = server_workload.prepare(database)
    server_workload.run(database)
    for name in names:
        version = int(server_workload.STREAMS[name]["proto_version"])
        parser = PgoutputParser(version)
        seen = set[str]()
        for _, _, payload in server_workload.fetch(database, name):
            assert build(parser.parse(payload)) == payload
            seen.add(chr(payload[0]))
        # PostgreSQL 18 has the stray Stream Abort in version 1.
        assert set(_TYPES[version]) <= seen <= {*_TYPES[version], "A"}
