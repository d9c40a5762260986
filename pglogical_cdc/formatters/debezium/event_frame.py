"""EventFrame: all of an event but its rows, rendered once for each operation of a transaction."""

from __future__ import annotations

from typing import Final

from pglogical_cdc.formatters.debezium.source import SourceBlock
from pglogical_cdc.formatters.debezium.table import TableFormat
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock

__all__ = ("EventFrame",)

_digits: Final = int.__repr__
"""An `LSN` writes itself otherwise."""


class EventFrame:
    """What the events of one operation on one table have around their rows, in one transaction.

    Args:
        source: their ``source``.
        table: version of the table.
        op: the operation's letter.
    """

    __slots__ = (
        "_after_lsn",
        "_before_lsn",
        "_between_lsn",
        "_op",
        "op",
        "source",
        "table",
        "transaction",
    )

    def __init__(self, source: SourceBlock, table: TableFormat, op: str) -> None:
        self.source = source
        self.transaction = source.transaction
        self.table = table
        self.op = op
        first, second, third = source.around_lsn(table.source)
        self._before_lsn = f',"source":{first}'
        self._between_lsn = second
        self._after_lsn = f'{third},"transaction":'
        self._op = f',"op":"{op}","ts_ms":'

    def after_rows(self, lsn: int, block: TransactionBlock | None, now: int) -> str:
        """Return the JSON of an event from the end of its row, or rows, on.

        Args:
            lsn: start of the change's message in the WAL.
            block: its ``transaction``, if that is asked for.
            now: nanoseconds since 1970-01-01 UTC.
        """
        at = _digits(lsn)
        ns = f"{now}"
        # Cutting digits off is what the division does, if there are more of them.
        ms, us = (ns[:-6], ns[:-3]) if now >= 1_000_000 else (now // 1_000_000, now // 1000)
        return (
            f"{self._before_lsn}{at}{self._between_lsn}{at}{self._after_lsn}"
            f"{'null' if block is None else block.json().decode()}"
            f'{self._op}{ms},"ts_us":{us},"ts_ns":{ns}}}'
        )
