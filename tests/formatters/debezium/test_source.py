from __future__ import annotations

import json

from pglogical_cdc.events import Transaction
from pglogical_cdc.formatters.debezium.source import SOURCE_FIELDS, SourceBlock
from pglogical_cdc.lsn import LSN

TABLE = b',"schema":"public","table":"t"'


def _block(**of_transaction: object) -> SourceBlock:
    transaction = Transaction(
        xid=4294967295, commit_lsn=LSN(200), commit_timestamp=1795342295223178
    )
    for name, value in of_transaction.items():
        setattr(transaction, name, value)
    return SourceBlock(
        name="dbz",
        database="shop",
        timestamp=transaction.commit_timestamp,
        transaction=transaction,
        previous_end_lsn=100,
    )


def test_is_as_debezium_writes_it() -> None:
    assert _block().render(TABLE, 150).decode() == (
        '{"version":"3.6.3.Final","connector":"postgresql","name":"dbz","ts_ms":1795342295223,'
        '"snapshot":"false","db":"shop","sequence":"[\\"100\\",\\"150\\"]",'
        '"ts_us":1795342295223178,"ts_ns":1795342295223178000,"schema":"public","table":"t",'
        '"txId":4294967295,"lsn":150,"xmin":null,"origin":null,"origin_lsn":null}'
    )


def test_origin() -> None:
    content = json.loads(_block(origin="other", origin_lsn=LSN(7)).render(TABLE, 150))
    assert (content["origin"], content["origin_lsn"]) == ("other", 7)


def test_outside_transactions() -> None:
    block = SourceBlock(
        name="dbz", database="shop", timestamp=5, transaction=None, previous_end_lsn=None
    )
    content = json.loads(block.render(TABLE, 150))
    assert (content["txId"], content["sequence"]) == (None, '[null,"150"]')


def test_fields_are_those_of_the_block() -> None:
    block = _block()
    content = json.loads(block.render(TABLE, 150))
    assert tuple(content) == SOURCE_FIELDS
    for name, value in content.items():
        assert json.loads(block.field(name, "public", "t", 150)) == value
