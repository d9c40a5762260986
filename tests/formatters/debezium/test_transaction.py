from __future__ import annotations

import json

import pytest

from pglogical_cdc.events import Transaction
from pglogical_cdc.formatters.debezium.transaction import TransactionBlock, TransactionOrder
from pglogical_cdc.lsn import LSN


def _order(*, faithful: bool = False) -> TransactionOrder:
    transaction = Transaction(4294967295, LSN(2000), 1795342295223999)
    return TransactionOrder(transaction, "dbz.message", faithful=faithful)


def test_block() -> None:
    block = TransactionBlock("7:900", 3, 2)
    assert block.json() == b'{"id":"7:900","total_order":3,"data_collection_order":2}'
    names = ("id", "total_order", "data_collection_order")
    assert [block.field(name) for name in names] == [b'"7:900"', b"3", b"2"]


def test_each_event_has_its_place() -> None:
    order = _order()
    blocks = [
        order.next_of("public.a", 900),
        order.next_of("public.b", 950),
        order.next_of("public.a", 1000),
        order.next_of("public.a", 1000),
    ]
    assert [tuple(block) for block in blocks] == [
        ("4294967295:900", 1, 1),
        ("4294967295:950", 2, 1),
        ("4294967295:1000", 3, 2),
        ("4294967295:1000", 4, 3),
    ]


def test_marks() -> None:
    order = _order()
    assert order.begin(900) == (
        b'{"id":"4294967295:900"}',
        b'{"status":"BEGIN","id":"4294967295:900","event_count":null,"data_collections":null,'
        b'"ts_ms":1795342295223}',
    )
    order.next_of("public.a", 950)
    order.next_of("public.a", 960)
    assert order.end(2030) == (
        b'{"id":"4294967295:2030"}',
        b'{"status":"END","id":"4294967295:2030","event_count":2,"data_collections":'
        b'[{"data_collection":"public.a","event_count":2}],"ts_ms":1795342295223}',
    )


def test_a_transaction_without_events() -> None:
    assert _order().end(2030)[1] == (
        b'{"status":"END","id":"4294967295:2030","event_count":0,"data_collections":[],'
        b'"ts_ms":1795342295223}'
    )


def _collections(order: TransactionOrder) -> bytes:
    _start, _, rest = order.end(1)[1].partition(b'"data_collections":')
    return rest.partition(b',"ts_ms"')[0]


# As Java 17 prints the key set of such a HashMap.
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["s.\u00e9", "public.tx_a", "public.tx_b", "public.orders", "public.tx_c"],
            ["public.tx_c", "public.tx_b", "public.orders", "public.tx_a", "s.\u00e9"],
        ),
        (
            [f"public.tx_{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"],
            [f"public.tx_{letter}" for letter in "zwvyxcbedasrutonqpkjmlgfih"],
        ),
    ],
)
def test_collections_are_in_the_order_of_a_hash_map(names: list[str], expected: list[str]) -> None:
    order = _order()
    for name in names:
        order.next_of(name, 1)
    listed = json.loads(_collections(order))
    assert listed == [{"data_collection": name, "event_count": 1} for name in expected]


def test_a_name_is_json() -> None:
    order = _order()
    order.next_of('s."\U0001f600', 1)
    assert _collections(order) == (b'[{"data_collection":"s.\\"\\uD83D\\uDE00","event_count":1}]')


def test_each_message_is_a_collection_of_its_own() -> None:
    order = _order()
    order.next_of("public.a", 1)
    assert tuple(order.next_message(2)) == ("4294967295:2", 2, 1)
    assert tuple(order.next_message(3)) == ("4294967295:3", 3, 1)
    message = b'{"data_collection":"dbz.message","event_count":1}'
    assert _collections(order) == (
        b'[{"data_collection":"public.a","event_count":1},%b,%b]' % (message, message)
    )


def test_faithful_counts_messages_together() -> None:
    order = _order(faithful=True)
    assert tuple(order.next_message(2)) == ("4294967295:2", 1, 1)
    assert tuple(order.next_message(3)) == ("4294967295:3", 2, 2)
    assert _collections(order) == b'[{"data_collection":"dbz.message","event_count":2}]'


def test_nothing_is_counted_outside_a_transaction() -> None:
    order = TransactionOrder(None, "dbz.message", faithful=False)
    with pytest.raises(AssertionError):
        order.next_of("public.a", 1)
