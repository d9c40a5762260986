"""The Python examples of README and docs run, on a real server where they name one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.servers import Database
from tests.sinks.mongodb.server import MongoServer, mongo_server

__all__ = ("mongo_server",)

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SLOT = re.compile(r'slot="([a-z_]+)"')

EXAMPLES = [
    pytest.param(block, id=f"{path.relative_to(_ROOT)}-{number}")
    for path in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    for number, block in enumerate(_BLOCK.findall(path.read_text(encoding="utf-8")), start=1)
]

WORKLOAD = """
INSERT INTO orders VALUES (1, 'Ada', 9.50), (2, 'Grace', 12);
UPDATE orders SET total = 10 WHERE id = 1;
UPDATE orders SET id = 3 WHERE id = 2;
DELETE FROM orders WHERE id = 1;
TRUNCATE orders;
"""


def _ending(example: str, dsn: str) -> str:
    """Point an example at a server and let it end."""
    example = example.replace("postgresql://localhost/shop", dsn)
    if "until=" in example:
        return example
    return example.replace("create=True", 'create=True, until="now"')


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.pg(18)
@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(
    example: str,
    database: Database,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # some of them keep a file
    if "mongodb://" in example:
        mongo: MongoServer = request.getfixturevalue("mongo_server")
        example = example.replace("mongodb://localhost", mongo.url())
    with database.connect() as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric)")
        connection.execute("CREATE PUBLICATION shop_pub FOR ALL TABLES")
        for slot in _SLOT.findall(example):
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        for statement in WORKLOAD.split(";\n"):
            connection.execute(statement.strip() or "SELECT")
    exec(  # the example is ours, from the repository
        compile(_ending(example, database.dsn), "example", "exec"),
        {"__name__": "example"},
    )
    assert capfd.readouterr().out, "an example shows something"
