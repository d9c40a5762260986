"""A workload of random transactions, and the ledger of a consumer that must lose none of them.

`Load` changes a table; the number of each transaction, and how many rows it changes, stand in a
second table that the transaction writes first. A `Ledger` follows both through the stream: it
knows what a transaction has to bring before that comes, so that a change cannot get lost
unnoticed, not even one that a later change covers.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, TypeAlias, cast

import psycopg
from psycopg import sql
from typing_extensions import LiteralString, Self

from pglogical_cdc.absent import Absent
from pglogical_cdc.events import Change, Position, RowChange, SchemaChange, Update
from pglogical_cdc.lsn import LSN
from tests.reading import wait_until

__all__ = ("Ledger", "Load", "Truth", "Verdict", "create_tables", "read_truth")

_Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_Values: TypeAlias = dict[str, object]
"""The columns of a row, by name."""

_TABLE: Final = "load"

_BROKEN: Final = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
"""The connection is lost, or leads to a standby."""


@dataclass(frozen=True)
class Truth:
    """What the server holds."""

    rows: Mapping[int, Mapping[str, object]]
    """The table, by primary key."""
    commits: Mapping[int, int]
    """The committed transactions: number, and how many rows each changed."""


@dataclass(frozen=True)
class Verdict:
    """What a consumer got, compared with the truth."""

    events: int
    """Changes of the two tables, without those that came again in a later process."""
    lost: int
    """Rows that are missing, stale or surplus, and transactions that are not whole."""
    repeated: int
    """Changes that came more than once in one process."""
    reordered: int
    """Changes that came after a later one."""
    redelivered: int = 0
    """Changes that came again in a later process, as they may."""
    details: tuple[str, ...] = field(default=(), compare=False)
    """What is wrong, in words; the first of each kind."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.repeated or self.reordered)


def create_tables(dsn: str, table: str = _TABLE, *, publication: str | None = None) -> None:
    """Make the two tables of a load, and a publication of them."""
    names = {"table": sql.Identifier(table), "commits": sql.Identifier(f"{table}_commits")}
    with psycopg.connect(dsn) as connection:
        connection.execute(
            sql.SQL(
                "CREATE TABLE {table} (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL);"
                # Long values are then out of line, and not sent when an update leaves them alone.
                "ALTER TABLE {table} ALTER COLUMN v SET STORAGE EXTERNAL;"
                "CREATE TABLE {commits} (number bigint PRIMARY KEY, changes int NOT NULL)"
            ).format(**names)
        )
        if publication is not None:
            connection.execute(
                sql.SQL("CREATE PUBLICATION {publication} FOR TABLE {table}, {commits}").format(
                    publication=sql.Identifier(publication), **names
                )
            )


def read_truth(dsn: str, table: str = _TABLE, *, timeout: float = 30.0) -> Truth:
    """Read what the server holds, as of one moment.

    Args:
        dsn: where.
        table: as of `create_tables`.
        timeout: seconds to try, if the server cannot be reached.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with psycopg.connect(dsn) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                rows = connection.execute(
                    sql.SQL("SELECT id, n, v FROM {}").format(sql.Identifier(table))
                ).fetchall()
                commits = connection.execute(
                    sql.SQL("SELECT number, changes FROM {}").format(
                        sql.Identifier(f"{table}_commits")
                    )
                ).fetchall()
            return Truth({id_: {"id": id_, "n": n, "v": v} for id_, n, v in rows}, dict(commits))
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# -- the workload


@dataclass(frozen=True)
class _Statement:
    query: LiteralString
    params: tuple[object, ...] = ()
    copied: tuple[tuple[int, int, str], ...] = ()
    """Rows for ``COPY FROM STDIN``."""


class _Transaction:
    """What one transaction will do, invented at random before it begins.

    Args:
        number: of the transaction.
        source: of the chances.
        keys: of the rows that are there.
        next_id: the first key that was never used.
        rows: how many rows the table should have, about.
    """

    def __init__(
        self, number: int, source: random.Random, keys: list[int], next_id: int, rows: int
    ) -> None:
        self.number = number
        self.statements: list[_Statement] = []
        self.changes = 0
        """Rows that it changes, without those that it rolls back itself."""
        self.commits = True
        self.keys = keys.copy()
        self.next_id = next_id
        self._source = source
        self._rows = rows

    def invent(self) -> None:
        """Fill it."""
        self.commits = self._source.random() >= 0.1
        for _ in range(self._source.randint(1, 5)):
            if self._source.random() < 0.2:
                self._savepoint()
            else:
                self._step()

    def _savepoint(self) -> None:
        keys, changes = self.keys.copy(), self.changes
        self._do("SAVEPOINT s")
        for _ in range(self._source.randint(1, 3)):
            self._step()
        if self._source.random() < 0.5:
            self._do("RELEASE s")
        else:
            self._do("ROLLBACK TO s")
            self.keys, self.changes = keys, changes

    def _step(self) -> None:
        grown = len(self.keys) > self._rows
        steps = {
            self._insert: 1 if grown else 5,
            self._copy: 0 if grown else 1,
            self._count_up: 3,
            self._write: 3,
            self._change_key: 2,
            self._come_back: 1,
            self._delete: 5 if grown else 1,
        }
        (step,) = self._source.choices(list(steps), list(steps.values()))
        step()

    def _insert(self) -> None:
        rows = self._new_rows(self._source.choice((1, 1, 2, 5, 8)))
        ids, values = [row[0] for row in rows], [row[2] for row in rows]
        self._do(
            "INSERT INTO {table} SELECT id, 0, v"
            " FROM unnest(%s::bigint[], %s::text[]) AS r (id, v)",
            ids,
            values,
        )
        self._changed(ids)

    def _copy(self) -> None:
        rows = self._new_rows(self._source.randint(5, 40))
        self.statements.append(_Statement("COPY {table} FROM STDIN", copied=tuple(rows)))
        self._changed([row[0] for row in rows])

    def _count_up(self) -> None:
        ids = self._some(6)
        self._do("UPDATE {table} SET n = n + 1 WHERE id = ANY (%s::bigint[])", ids)
        self.changes += len(ids)

    def _write(self) -> None:
        ids = self._some(3)
        self._do(
            "UPDATE {table} SET n = n + 1, v = %s WHERE id = ANY (%s::bigint[])", self._text(), ids
        )
        self.changes += len(ids)

    def _change_key(self) -> None:
        for key in self._some(2):
            self._do("UPDATE {table} SET id = %s, n = n + 1 WHERE id = %s", self.next_id, key)
            self.keys.remove(key)
            self._changed([self.next_id])
            self.next_id += 1

    def _come_back(self) -> None:
        """Delete a row and insert another one with its key."""
        for key in self._some(1):
            self._do("DELETE FROM {table} WHERE id = %s", key)
            self._do("INSERT INTO {table} VALUES (%s, 0, %s)", key, self._text())
            self.changes += 2

    def _delete(self) -> None:
        ids = self._some(8)
        self._do("DELETE FROM {table} WHERE id = ANY (%s::bigint[])", ids)
        self.keys = [key for key in self.keys if key not in ids]
        self.changes += len(ids)

    def _do(self, query: LiteralString, *params: object) -> None:
        self.statements.append(_Statement(query, params))

    def _changed(self, new_ids: list[int]) -> None:
        self.keys += new_ids
        self.changes += len(new_ids)

    def _new_rows(self, count: int) -> list[tuple[int, int, str]]:
        first, self.next_id = self.next_id, self.next_id + count
        return [(key, 0, self._text()) for key in range(first, first + count)]

    def _some(self, most: int) -> list[int]:
        """Choose some of the rows that are there."""
        count = min(self._source.randint(1, most), len(self.keys))
        return self._source.sample(self.keys, count)

    def _text(self) -> str:
        longest = 3000 if self._source.random() < 0.03 else 30
        return "é" + self._source.randbytes(self._source.randrange(longest)).hex()


class Load:
    """Random transactions on a table, in a thread with a connection of its own.

    Inserts of one row or many, updates, changes of the key, deletes, keys that come back, COPY,
    savepoints released and rolled back, transactions rolled back. Which ones follows from the
    seed, as long as no server fails.

    The connection may break at any time: the load connects anew, finds out whether the transaction
    that was being committed was, and goes on. Nobody else may write to the table.

    Args:
        dsn: where; with several hosts it needs ``target_session_attrs=read-write``.
        seed: of the random transactions.
        table: as of `create_tables`.
        rate: transactions per second; None: as many as the server takes.
        rows: how many rows the table has after a while, about.
    """

    def __init__(
        self,
        dsn: str,
        *,
        seed: int = 0,
        table: str = _TABLE,
        rate: float | None = None,
        rows: int = 300,
    ) -> None:
        self.rate = rate
        """May be changed at any time."""
        self.committed = 0
        """Transactions that are known to have committed."""
        self.rolled_back = 0
        """Transactions that the load rolled back, or a failing server."""
        self.connects = 0
        """How many connections there were."""
        self.in_doubt = 0
        """How many transactions had to be looked up after a connection broke in their commit."""
        self._dsn = dsn
        self._random = random.Random(seed)
        self._table = table
        self._rows = rows
        self._names = {
            "table": sql.Identifier(table),
            "commits": sql.Identifier(f"{table}_commits"),
        }
        self._number = 0
        self._next_id = 1
        self._keys: list[int] = []
        """Of the table, as of the last transaction that committed."""
        self._in_doubt: int | None = None
        self._last = 0
        self._connection: _Connection | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the thread; again after `stop`, too."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> int:
        """End, with a last transaction that changes no row of the table.

        Who has seen its number in the stream has seen everything.

        Returns:
            The number of the last transaction.

        Raises:
            TimeoutError: the server did not come back in time.
        """
        self._halt(timeout)
        return self.mark(timeout=timeout)

    def close(self) -> None:
        """End the thread and the connection, whatever the server does."""
        try:
            self._halt(30.0)
        finally:
            self._disconnect()

    def run(self, transactions: int, *, timeout: float = 60.0) -> None:
        """Run so many transactions here and now, without the thread.

        Raises:
            TimeoutError: the server did not come back in time.
        """
        assert self._thread is None, "the thread is running"
        deadline = time.monotonic() + timeout
        for _ in range(transactions):
            self._until_done(deadline)

    def mark(self, *, timeout: float = 30.0) -> int:
        """Commit a transaction that changes no row of the table, and give its number."""
        assert self._thread is None, "the thread is running"
        deadline = time.monotonic() + timeout
        while True:
            self._until_done(deadline, empty=True)
            if self._in_doubt is None and self._last == self._number:
                return self._number

    def wait_for(self, transactions: int, timeout: float = 60.0) -> None:
        """Wait until so many more transactions have committed."""
        goal = self.committed + transactions
        wait_until(lambda: self.committed >= goal or self._error is not None, timeout)
        self._raise()

    def expected(self, dsn: str | None = None) -> Truth:
        """Read what the server holds, from a connection of its own or one of another server."""
        return read_truth(self._dsn if dsn is None else dsn, self._table)

    # -- the thread

    def _run(self) -> None:
        try:
            began, done = time.monotonic(), 0
            rate = self.rate
            while not self._stopping.is_set():
                if self.rate != rate:
                    rate, began, done = self.rate, time.monotonic(), 0
                if rate is not None:
                    wait = began + done / rate - time.monotonic()
                    if wait > 0:
                        self._stopping.wait(min(wait, 0.1))
                        continue
                    # What an outage left undone is not made up for.
                    began += max(0.0, -wait - 1)
                self._attempt()
                done += 1
        except BaseException as error:
            self._error = error

    def _halt(self, timeout: float) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError("the load does not end")
            self._thread = None
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _until_done(self, deadline: float, *, empty: bool = False) -> None:
        while not self._attempt(empty=empty):
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not come back")
            time.sleep(0.05)

    # -- one transaction

    def _attempt(self, *, empty: bool = False) -> bool:
        """Run a transaction once; False if there was no connection to run it on."""
        try:
            connection = self._connect()
        except _BROKEN:
            self._stopping.wait(0.05)
            return False
        self._number += 1
        made = _Transaction(self._number, self._random, self._keys, self._next_id, self._rows)
        if not empty:
            made.invent()
        self._next_id = made.next_id
        committing = False
        try:
            connection.execute("BEGIN")
            connection.execute(
                sql.SQL("INSERT INTO {commits} VALUES (%s, %s)").format(**self._names),
                [made.number, made.changes],
            )
            for statement in made.statements:
                self._execute(connection, statement)
            committing = made.commits
            connection.execute("COMMIT" if made.commits else "ROLLBACK")
        except _BROKEN:
            self._disconnect()
            if committing:
                self.in_doubt += 1
                self._in_doubt = made.number
            else:
                self.rolled_back += 1
        else:
            self._count(made.number, committed=made.commits)
            if made.commits:
                self._keys = made.keys
        return True

    def _count(self, number: int, *, committed: bool) -> None:
        if committed:
            self.committed += 1
            self._last = number
        else:
            self.rolled_back += 1

    def _execute(self, connection: _Connection, statement: _Statement) -> None:
        query = sql.SQL(statement.query).format(**self._names)
        if not statement.copied:
            connection.execute(query, statement.params or None)
            return
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in statement.copied:
                copy.write_row(row)

    def _connect(self) -> _Connection:
        """Give the connection; a new one first brings what we know up to date."""
        if self._connection is not None:
            return self._connection
        connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
        try:
            if self._in_doubt is not None:
                self._look_up(connection, self._in_doubt)
                self._in_doubt = None
            rows = connection.execute(
                sql.SQL("SELECT id FROM {table} ORDER BY id").format(**self._names)
            ).fetchall()
            ((number,),) = connection.execute(
                sql.SQL("SELECT coalesce(max(number), 0) FROM {commits}").format(**self._names)
            ).fetchall()
        except BaseException:
            connection.close()
            raise
        self._keys = [key for (key,) in rows]
        self._next_id = max([self._next_id, *(key + 1 for key in self._keys)])
        self._number = max(self._number, number)
        self.connects += 1
        self._connection = connection
        return connection

    def _look_up(self, connection: _Connection, number: int) -> None:
        # Its process may still be about to commit. Whoever inserts the same key waits for its end.
        with connection.transaction(force_rollback=True):
            cursor = connection.execute(
                sql.SQL("INSERT INTO {commits} VALUES (%s, 0) ON CONFLICT DO NOTHING").format(
                    **self._names
                ),
                [number],
            )
            committed = cursor.rowcount == 0
        self._count(number, committed=committed)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# -- the ledger


@dataclass(frozen=True)
class _Entry:
    """What a ledger notes of a change."""

    position: Position
    table: str
    op: str
    key: int | None
    old_key: int | None
    values: _Values
    """The columns that came."""

    @classmethod
    def of(cls, change: RowChange) -> Self:
        key, old_key = change.key, None
        if isinstance(change, Update):
            old_key = _integer(change.old_key)
        after: Mapping[str, object] = change.after or {}
        return cls(
            change.position,
            change.table,
            change.op,
            _integer(key),
            old_key,
            {name: value for name, value in after.items() if not isinstance(value, Absent)},
        )

    @classmethod
    def parse(cls, line: bytes) -> Self:
        parts = json.loads(line)
        return cls(**{**parts, "position": Position.parse(parts["position"])})

    def line(self) -> bytes:
        parts = {**vars(self), "position": str(self.position)}
        return json.dumps(parts).encode() + b"\n"


def _integer(key: Mapping[str, object] | None) -> int | None:
    if not key:
        return None
    (value,) = key.values()
    assert isinstance(value, int)
    return value


class Ledger:
    """What a consumer has applied of a `Load`.

    It needs the changes of both tables, from the load's beginning; others it leaves out. A change
    that came before is not applied again. Without a path it lives and ends with the process.

    With a path every change is also written to a file, one line of JSON that has reached the
    system when `apply` returns. The file grows by the processes of a consumer that is killed and
    started again: `read` takes it back whole, while an object knows its own process only.

    Attributes:
        rows: the table, as the changes have made it.
        commits: the transactions that were seen, each with the rows that it has to change.
        repeated: changes that came more than once in one process.
        reordered: changes that came after a later one.
        redelivered: changes that came again in a later process.
    """

    def __init__(self, path: Path | None = None, *, table: str = _TABLE) -> None:
        """Begin; with the path of a file that is there, the next process of the same consumer."""
        self.rows: dict[int, _Values] = {}
        self.commits: dict[int, int] = {}
        self.repeated = 0
        self.reordered = 0
        self.redelivered = 0
        self._table = table
        self._process = 0
        self._last: Position | None = None
        self._seen: dict[Position, tuple[int, int]] = {}
        """In which process a change came last, and the hash of what it was."""
        self._places: dict[int, LSN] = {}
        """Where each transaction was committed."""
        self._changes: Counter[LSN] = Counter()
        """Changes of the table, by transaction."""
        self._gaps: list[str] = []
        self._file: IO[bytes] | None = None
        if path is not None:
            _cut_torn_line(path)
            self._file = path.open("ab", buffering=0)
            self.begin_again()

    @classmethod
    def read(cls, path: Path, *, table: str = _TABLE) -> Self:
        """Take back what the processes of a consumer have written."""
        ledger = cls(table=table)
        with path.open("rb") as file:
            for line in file:
                if line == _PROCESS:
                    ledger.begin_again()
                elif line.endswith(b"\n"):
                    ledger._note(_Entry.parse(line))
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def begin_again(self) -> None:
        """Let what was not acknowledged come again, as after the end of a process."""
        self._process += 1
        self._last = None
        if self._file is not None:
            self._file.write(_PROCESS)

    def apply(self, change: Change) -> None:
        """Take the next change of the reader."""
        if not isinstance(change, RowChange) or isinstance(change, SchemaChange):
            return
        if change.table not in (self._table, f"{self._table}_commits"):
            return
        entry = _Entry.of(change)
        if self._file is not None:
            self._file.write(entry.line())
        self._note(entry)

    def saw(self, number: int) -> bool:
        """Tell whether the transaction of this number was seen; that of `Load.stop` is the last."""
        return number in self.commits

    @property
    def events(self) -> int:
        """How many different changes there were."""
        return len(self._seen)

    def verdict(self, truth: Truth) -> Verdict:
        """Compare with what the server holds, when everything has been read."""
        wrong = [
            *self._gaps,
            *(f"row {key} is missing" for key in truth.rows.keys() - self.rows.keys()),
            *(f"row {key} is surplus" for key in self.rows.keys() - truth.rows.keys()),
            *(
                f"row {key} is stale"
                for key in truth.rows.keys() & self.rows.keys()
                if truth.rows[key] != self.rows[key]
            ),
            *(f"transaction {n} is missing" for n in truth.commits.keys() - self.commits.keys()),
            *(f"transaction {n} is surplus" for n in self.commits.keys() - truth.commits.keys()),
            *(
                f"transaction {number} has {self._changes[self._places[number]]} of {changes} rows"
                for number, changes in self.commits.items()
                if self._changes[self._places[number]] != changes
            ),
        ]
        return Verdict(
            self.events,
            len(wrong),
            self.repeated,
            self.reordered,
            self.redelivered,
            tuple(wrong[:20]),
        )

    def _note(self, entry: _Entry) -> None:
        position, content = entry.position, hash(entry.line())
        process, before = self._seen.get(position, (None, content))
        self._seen[position] = (self._process, content)
        if process == self._process:
            self.repeated += 1
            return
        if self._last is not None and position < self._last:
            self.reordered += 1
        self._last = position
        if process is None:
            self._count(entry)
        else:
            self.redelivered += 1
            if content != before:
                self._gaps.append(f"{position} came again as another change")

    def _count(self, entry: _Entry) -> None:
        if entry.table == self._table:
            self._changes[entry.position.commit_lsn] += 1
            self._apply(entry)
        elif entry.op == "insert":
            assert entry.key is not None
            self.commits[entry.key] = cast("int", entry.values["changes"])
            self._places[entry.key] = entry.position.commit_lsn

    def _apply(self, entry: _Entry) -> None:
        key = entry.key
        if key is None:
            assert entry.op == "truncate"
            self.rows.clear()
            return
        before = self.rows.pop(key if entry.old_key is None else entry.old_key, None)
        if (before is None) is not (entry.op == "insert"):
            self._gaps.append(f"{entry.position}: {entry.op} of a row that cannot be")
        if entry.op == "delete":
            return
        row = {**(before or {}), **entry.values}
        if entry.op == "update" and before is not None and row["n"] != cast("int", before["n"]) + 1:
            self._gaps.append(f"{entry.position}: another update of the row is missing")
        self.rows[key] = row


_PROCESS: Final = b"process\n"
"""The line with which a process begins in a file."""


def _cut_torn_line(path: Path) -> None:
    """Remove the line that a process was writing when it was killed."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)
