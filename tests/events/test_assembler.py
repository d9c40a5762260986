"""Tests of `pglogical_cdc.events.assembler`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglogical_cdc.absent import NOT_SENT, UNCHANGED
from pglogical_cdc.errors import ProtocolError, UnknownRelationError
from pglogical_cdc.events import (
    POSTGRES_EPOCH_US,
    CatalogType,
    Change,
    ChangeAssembler,
    Delete,
    Insert,
    LogicalMessage,
    Position,
    ReplicaIdentity,
    SchemaChange,
    TableCatalog,
    Transaction,
    Truncate,
    Update,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.protocol import (
    BinaryValue,
    PgoutputParser,
    XLogData,
    parse_walsender_message,
)
from tests import golden, wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLUMNS = [(1, "id", 23, -1), (0, "b", 25, -1), (0, "c", 25, -1)]


class _Stream:
    """Sends bytes through parser and assembler, each at an LSN of its own."""

    def __init__(self, *messages: bytes) -> None:
        self.parser = PgoutputParser(protocol_version=1)
        self.assembler = ChangeAssembler(database="shop")
        self.lsn = 0x100
        self.send(*messages)

    def send(self, *messages: bytes, catalog: TableCatalog | None = None) -> list[Change]:
        changes: list[Change] = []
        for message in messages:
            self.lsn += 8
            changes += self.assembler.assemble(self.parser.parse(message), self.lsn, catalog)
        return changes

    def one(self, message: bytes) -> Change:
        (change,) = self.send(message)
        return change


def _relation(
    columns: Iterable[tuple[int, str, int, int]] = _COLUMNS, *, oid: int = 7, identity: str = "d"
) -> bytes:
    return wire.relation(oid, "s", f"t{oid}", columns, replica_identity=identity)


@pytest.fixture
def stream() -> _Stream:
    """A stream inside a transaction, with table 7 described."""
    return _Stream(wire.begin(0x5000, 1_000_000, 700), _relation())


def _transaction(stream: _Stream) -> Transaction | None:
    return stream.assembler.transaction


def test_transaction(stream: _Stream) -> None:
    transaction = _transaction(stream)
    assert transaction is not None
    assert (transaction.xid, transaction.commit_lsn) == (700, LSN(0x5000))
    assert transaction.commit_timestamp == POSTGRES_EPOCH_US + 1_000_000
    # The Begin message was the first that came, and the table's description the second.
    assert transaction.begin_lsn == LSN(stream.lsn - 8) == LSN(0x108)
    assert (transaction.previous_end_lsn, transaction.end_lsn) == (None, None)
    stream.send(wire.origin(0x77, "elsewhere"))
    assert (transaction.origin, transaction.origin_lsn) == ("elsewhere", LSN(0x77))
    change = stream.one(wire.insert(7, ["1", "x", None]))
    assert change.transaction is transaction
    stream.send(wire.commit(0x5000, 0x5030))
    assert _transaction(stream) is None
    assert transaction.end_lsn == LSN(0x5030)
    stream.send(wire.begin(0x6000))
    following = _transaction(stream)
    assert following is not None
    assert following.previous_end_lsn == LSN(0x5030)
    assert following.begin_lsn == LSN(stream.lsn)
    assert stream.assembler.ordinal == 0


def test_positions_count_what_is_a_change(stream: _Stream) -> None:
    changes = stream.send(
        wire.insert(7, ["1", "x", None]),
        wire.type_(16400, "public", "mood"),
        _relation(oid=8),
        wire.logical_decoding_message("p", b"alone", flags=0, lsn=0x123),
        wire.logical_decoding_message("p", b"inside"),
        wire.truncate([7, 8]),
        wire.delete(7, key=["1", None, None]),
        wire.stream_abort(700, 701),
    )
    assert [str(change.position) for change in changes] == [
        "0/5000:1",
        "0/123:0",
        "0/5000:2",
        "0/5000:3",
        "0/5000:4",
        "0/5000:5",
    ]
    assert stream.assembler.ordinal == 5


def test_relation(stream: _Stream) -> None:
    relation = stream.assembler.relation(7)
    assert relation is not None
    assert (relation.oid, relation.schema, relation.name, relation.database) == (
        7,
        "s",
        "t7",
        "shop",
    )
    assert [(c.name, c.type_name, c.is_identity) for c in relation.columns] == [
        ("id", "int4", True),
        ("b", "text", False),
        ("c", "text", False),
    ]
    assert relation.replica_identity is ReplicaIdentity.DEFAULT
    assert stream.assembler.relation(8) is None


def test_type_names(stream: _Stream) -> None:
    oids = (23, 16400, 16401, 16402, 16403)
    stream.send(
        wire.type_(16400, "public", "mood"),
        wire.type_(16401, "pg_catalog", "int4"),  # a domain over it
        wire.type_(16402, "public", "int4"),  # somebody's own type
        _relation([(0, f"c{oid}", oid, -1) for oid in oids], oid=8),
    )
    relation = stream.assembler.relation(8)
    assert relation is not None
    names = [column.type_name for column in relation.columns]
    assert names == ["int4", "mood", "int4", "public.int4", None]


def test_type_name_from_the_catalog(stream: _Stream) -> None:
    types = {16401: CatalogType(16401, "public", "posint", "d", base_oid=23)}
    catalog = TableCatalog("shop", 8, "s", "t8", (), None, types=types)
    stream.send(wire.type_(16401, "pg_catalog", "int4"))
    stream.send(_relation([(0, "c", 16401, -1)], oid=8), catalog=catalog)
    relation = stream.assembler.relation(8)
    assert relation is not None
    assert relation.columns[0].type_name == "posint"
    assert relation.catalog is catalog


def test_insert(stream: _Stream) -> None:
    change = stream.one(wire.insert(7, ["1", None, UNCHANGED]))
    assert isinstance(change, Insert)
    assert change.after == {"id": "1", "b": None, "c": UNCHANGED}
    assert change.lsn == stream.lsn
    assert change.relation is stream.assembler.relation(7)


def test_update_without_old_row(stream: _Stream) -> None:
    change = stream.one(wire.update(7, ["1", "x", UNCHANGED]))
    assert isinstance(change, Update)
    assert change.before is None
    assert change.after == {"id": "1", "b": "x", "c": UNCHANGED}


def test_update_with_old_key(stream: _Stream) -> None:
    change = stream.one(wire.update(7, [UNCHANGED, UNCHANGED, None], key=["1", None, None]))
    assert isinstance(change, Update)
    assert dict(change.before or {}) == {"id": "1", "b": NOT_SENT, "c": NOT_SENT}
    # The key is filled in, what the server sent nowhere stays absent.
    assert change.after == {"id": "1", "b": UNCHANGED, "c": None}


def test_update_with_old_row(stream: _Stream) -> None:
    full = [(1, name, oid, -1) for _, name, oid, _ in _COLUMNS]
    stream.send(_relation(full, oid=8, identity="f"))
    change = stream.one(wire.update(8, ["2", UNCHANGED, None], old=["1", "long", None]))
    assert isinstance(change, Update)
    assert dict(change.before or {}) == {"id": "1", "b": "long", "c": None}
    assert change.after == {"id": "2", "b": "long", "c": None}
    assert change.after.is_complete


def test_delete(stream: _Stream) -> None:
    by_key = stream.one(wire.delete(7, key=["1", None, None]))
    assert isinstance(by_key, Delete)
    assert dict(by_key.before) == {"id": "1", "b": NOT_SENT, "c": NOT_SENT}
    # A partition with REPLICA IDENTITY FULL, published as its root.
    more = stream.one(wire.delete(7, key=["1", None, "x"]))
    assert dict(more.before or {}) == {"id": "1", "b": NOT_SENT, "c": "x"}
    whole = stream.one(wire.delete(7, old=["1", None, "x"]))
    assert dict(whole.before or {}) == {"id": "1", "b": None, "c": "x"}


def test_truncate_of_several_tables(stream: _Stream) -> None:
    stream.send(_relation(oid=8))
    changes = stream.send(wire.truncate([8, 7], options=3))
    assert all(isinstance(change, Truncate) for change in changes)
    assert [change.table for change in changes] == ["t8", "t7"]
    first = changes[0]
    assert isinstance(first, Truncate)
    assert (first.cascade, first.restart_identity) == (True, True)
    assert len({change.lsn for change in changes}) == 1


def test_messages() -> None:
    stream = _Stream()
    alone = stream.one(wire.logical_decoding_message("p", b"c", flags=0, lsn=0x123))
    assert isinstance(alone, LogicalMessage)
    assert (alone.prefix, alone.content, alone.database) == ("p", b"c", "shop")
    assert alone.transaction is None
    assert alone.position == Position(LSN(0x123), 0)
    stream.send(wire.begin(0x5000))
    inside = stream.one(wire.logical_decoding_message("p", b"c"))
    assert isinstance(inside, LogicalMessage)
    assert inside.transactional
    assert inside.position == Position(LSN(0x5000), 1)


def test_repeated_relation_keeps_its_version(stream: _Stream) -> None:
    first = stream.assembler.relation(7)
    assert stream.send(_relation()) == []
    assert stream.assembler.relation(7) is first
    catalog = TableCatalog("shop", 7, "s", "t7", (), ("b",))
    assert stream.send(_relation(), catalog=catalog) == []
    second = stream.assembler.relation(7)
    assert second is not None
    assert second is not first
    assert second.key_columns == ("b",)
    same = TableCatalog("shop", 7, "s", "t7", (), ("b",))
    assert stream.send(_relation(), catalog=same) == []
    assert stream.assembler.relation(7) is second


def test_schema_change(stream: _Stream) -> None:
    first = stream.assembler.relation(7)
    insert = stream.one(wire.insert(7, ["1", "x", None]))
    (change,) = stream.send(_relation([*_COLUMNS, (0, "d", 25, -1)]))
    assert isinstance(change, SchemaChange)
    assert change.previous is first
    assert change.relation is stream.assembler.relation(7)
    assert change.added == ["d"]
    following = stream.one(wire.insert(7, ["2", "x", None, "new"]))
    assert change.position == following.position
    assert isinstance(insert, Insert)
    assert insert.relation is first
    assert insert.after == {"id": "1", "b": "x", "c": None}


def test_catalog_of_the_previous_version_holds_on(stream: _Stream) -> None:
    catalog = TableCatalog("shop", 7, "s", "t7", (), ("b",))
    stream.send(_relation(), catalog=catalog)
    stream.send(_relation([*_COLUMNS, (0, "d", 25, -1)]))
    relation = stream.assembler.relation(7)
    assert relation is not None
    assert relation.catalog is catalog
    assert relation.key_columns == ("b",)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ([], wire.commit()),
        ([], wire.origin(1, "o")),
        ([], wire.insert(7, ["1", None, None])),
        ([], wire.update(7, ["1", None, None])),
        ([], wire.delete(7, key=["1", None, None])),
        ([], wire.truncate([7])),
        ([], wire.logical_decoding_message("p", b"")),
        ([wire.begin(0x5000)], wire.begin(0x6000)),
        ([wire.begin(0x5000)], wire.commit(0x6000)),
        ([wire.begin()], wire.insert(7, ["1", None])),
        ([wire.begin()], wire.update(7, ["1", None, None, None])),
        ([wire.begin()], wire.update(7, ["1", None, None], key=["1"])),
        ([wire.begin()], wire.update(7, ["1", None, None], old=["1"])),
        ([wire.begin()], wire.delete(7, key=["secret"])),
    ],
)
def test_messages_that_do_not_fit(before: Sequence[bytes], message: bytes) -> None:
    stream = _Stream(_relation(), *before)
    ordinal = stream.assembler.ordinal
    with pytest.raises(ProtocolError) as caught:
        stream.send(message)
    assert "secret" not in str(caught.value)
    assert stream.assembler.ordinal == ordinal


@pytest.mark.parametrize(
    "message",
    [wire.insert(9, []), wire.update(9, []), wire.delete(9, key=[]), wire.truncate([7, 9])],
)
def test_unknown_relation(stream: _Stream, message: bytes) -> None:
    with pytest.raises(UnknownRelationError, match="OID 9"):
        stream.send(message)
    assert stream.assembler.ordinal == 0


def test_rewound_transaction_comes_again_as_the_same_object(stream: _Stream) -> None:
    transaction = _transaction(stream)
    first = stream.one(wire.insert(7, ["1", "x", None]))
    stream.assembler.rewind()
    assert _transaction(stream) is None
    stream.send(wire.begin(0x5000, 1_000_000, 700))
    assert _transaction(stream) is transaction
    assert stream.assembler.ordinal == 0
    stream.send(_relation())
    again = stream.one(wire.insert(7, ["1", "x", None]))
    assert again.transaction is first.transaction is transaction
    assert again.position == first.position
    assert transaction is not None
    assert transaction.begin_lsn == LSN(0x108)  # of the first time
    stream.send(wire.commit(0x5000, 0x5030))
    assert transaction.end_lsn == LSN(0x5030)


@pytest.mark.parametrize(("commit_lsn", "xid"), [(0x6000, 700), (0x5000, 701)])
def test_another_transaction_is_another_object(stream: _Stream, commit_lsn: int, xid: int) -> None:
    transaction = _transaction(stream)
    stream.assembler.rewind()
    stream.send(wire.begin(commit_lsn, 1_000_000, xid))
    other = _transaction(stream)
    assert other is not None
    assert other is not transaction
    assert (other.commit_lsn, other.xid) == (commit_lsn, xid)


def test_rewinding_takes_back_what_the_open_transaction_has_described() -> None:
    stream = _Stream(wire.begin(0x4000), _relation(), wire.commit(0x4000, 0x4030))
    first = stream.assembler.relation(7)
    parts = (wire.begin(0x5000), _relation([*_COLUMNS, (0, "d", 25, -1)]), _relation(oid=8))
    for _ in range(3):
        (change,) = stream.send(*parts)
        assert isinstance(change, SchemaChange)
        assert change.previous is first
        (more,) = stream.send(_relation([*_COLUMNS, (0, "d", 25, -1), (0, "e", 25, -1)]))
        assert isinstance(more, SchemaChange)
        assert (more.added, more.position) == (["e"], change.position)
        assert stream.assembler.relation(8) is not None
        stream.assembler.rewind()
        assert stream.assembler.relation(7) is first
        assert stream.assembler.relation(8) is None


def test_rewinding_between_transactions_leaves_what_is_known(stream: _Stream) -> None:
    stream.send(_relation([*_COLUMNS, (0, "d", 25, -1)]), wire.insert(7, ["1", "x", None, None]))
    stream.send(wire.commit(0x5000, 0x5030))
    known = stream.assembler.relation(7)
    for _ in range(2):
        stream.assembler.rewind()
    # That transaction has been read to its end, and does not come again.
    assert stream.assembler.relation(7) is known
    stream.send(wire.begin(0x6000))
    assert stream.send(_relation([*_COLUMNS, (0, "d", 25, -1)])) == []


def test_rewinding_forgets_the_names_of_types_that_come_again(stream: _Stream) -> None:
    stream.send(wire.type_(16400, "public", "mood"))
    stream.assembler.rewind()
    stream.send(wire.begin(0x6000), _relation([(0, "c", 16400, -1)], oid=8))
    relation = stream.assembler.relation(8)
    assert relation is not None
    assert relation.columns[0].type_name is None


def test_relations_that_were_not_used_for_long_are_given_up() -> None:
    stream = _Stream(wire.begin())
    stream.assembler.relation_limit = 4
    stream.send(*(_relation(oid=oid) for oid in (1, 2, 3, 4)))
    assert stream.assembler.evicted == []
    stream.send(wire.insert(1, ["1", None, None]), wire.truncate([2]))
    stream.send(_relation(oid=5), _relation(oid=6))
    assert stream.assembler.evicted == [3, 4]
    known = [oid for oid in range(1, 7) if stream.assembler.relation(oid) is not None]
    assert known == [1, 2, 5, 6]
    ordinal = stream.assembler.ordinal
    with pytest.raises(UnknownRelationError, match="OID 3"):
        stream.send(wire.insert(3, ["1", None, None]))
    assert stream.assembler.ordinal == ordinal
    # Described again it is new, and says nothing of a change.
    assert stream.send(_relation(oid=3)) == []
    assert stream.one(wire.insert(3, ["1", None, None])).table == "t3"
    assert stream.assembler.evicted == [3, 4, 1]


def test_relation_limit_is_an_argument() -> None:
    assert ChangeAssembler().relation_limit == 4096
    assembler = ChangeAssembler(relation_limit=1)
    parser = PgoutputParser(protocol_version=1)
    for oid in (1, 2):
        assembler.assemble(parser.parse(_relation(oid=oid)), 1)
    assert assembler.evicted == [1]


def test_message_of_a_later_protocol() -> None:
    parser = PgoutputParser(protocol_version=2)
    message = parser.parse(wire.stream_start(700))
    with pytest.raises(ProtocolError, match="version 1"):
        ChangeAssembler().assemble(message, 1)


@pytest.mark.parametrize("name", ["raw_pgoutput_v1", "raw_pgoutput_v1_binary"])
def test_recorded_stream(name: str) -> None:
    def positions() -> list[str]:
        parser = PgoutputParser(protocol_version=1)
        assembler = ChangeAssembler()
        found: list[str] = []
        for lsn, _, payload in golden.raw_messages(name):
            for change in assembler.assemble(parser.parse(payload), lsn):
                repr(change)
                if change.after is not None:
                    assert len(dict(change.after)) == len(change.after.raw)
                if not isinstance(change, SchemaChange):
                    found.append(str(change.position))
        return found

    first = positions()
    assert len(first) > 200
    assert len(set(first)) == len(first)
    assert positions() == first


# -- the short way

_RAW = st.one_of(
    st.none(), st.just(UNCHANGED), st.binary(max_size=20), st.binary(max_size=5).map(BinaryValue)
)
_ROW = st.lists(_RAW, min_size=3, max_size=3)
_CUTS = st.integers(0, 90)
_MESSAGES = st.lists(
    st.one_of(
        st.builds(wire.insert, st.sampled_from([7, 8]), _ROW),
        st.builds(wire.update, st.sampled_from([7, 8]), _ROW),
        st.builds(lambda new, key: wire.update(7, new, key=key), _ROW, _ROW),
        st.builds(lambda new, old: wire.update(8, new, old=old), _ROW, _ROW),
        st.builds(lambda key: wire.delete(7, key=key), _ROW),
        st.builds(lambda old: wire.delete(8, old=old), _ROW),
        # What only the other way can take, or refuse.
        st.just(wire.truncate([7])),
        st.just(wire.logical_decoding_message("p", b"c")),
        st.just(wire.insert(9, [b"1", None, None])),
        st.just(wire.insert(7, [b"1"])),
        st.binary(max_size=12),
        st.builds(
            lambda row, cut: wire.insert(7, row)[:cut] + b"\0" * (cut % 2), _ROW, st.integers(0, 60)
        ),
        st.builds(lambda new, key, cut: wire.update(7, new, key=key)[:cut], _ROW, _ROW, _CUTS),
    ),
    max_size=12,
)


def _begun() -> _Stream:
    return _Stream(wire.begin(), _relation(), _relation(oid=8, identity="f"))


def _told(change: Change) -> object:
    rows = [row and (row.relation.oid, list(row.raw)) for row in (change.before, change.after)]
    types = [row and [type(value) for value in row.raw] for row in (change.before, change.after)]
    return type(change), change.position, change.wal_start, rows, types


@given(_MESSAGES, st.integers(0, 5), st.sampled_from([4096, 3]))
def test_short_way_makes_the_same(messages: list[bytes], limit: int, relations: int) -> None:
    plain, short = _begun(), _begun()
    short.assembler.relation_limit = relations
    copy_data = [wire.xlog_data(message, lsn) for lsn, message in enumerate(messages, start=0x500)]
    queue = deque(copy_data)
    changes: list[Change] = []
    last = short.assembler.take_rows(queue, changes, limit, 1 << 20)
    taken = len(copy_data) - len(queue)
    assert len(changes) == taken <= limit
    assert last == (copy_data[taken - 1] if taken else None)
    expected: list[Change] = []
    for data in copy_data[:taken]:
        envelope = parse_walsender_message(data)
        assert isinstance(envelope, XLogData)
        message = plain.parser.parse(envelope.payload)
        expected += plain.assembler.assemble(message, envelope.start_lsn)
    assert [_told(change) for change in changes] == [_told(change) for change in expected]
    assert short.assembler.ordinal == plain.assembler.ordinal
    if queue and taken < limit:
        # It stops at what is not a row, or is refused.
        envelope = parse_walsender_message(queue[0])
        assert isinstance(envelope, XLogData)
        try:
            found = plain.assembler.assemble(plain.parser.parse(envelope.payload), 0)
        except ProtocolError:
            return
        assert not isinstance(found[0], (Insert, Update, Delete))


def test_short_way_ends_where_it_has_no_room() -> None:
    stream = _begun()
    data = wire.xlog_data(wire.insert(7, [b"1", b"x" * 100, None]), 0x500)
    queue = deque([data] * 3)
    changes: list[Change] = []
    assert stream.assembler.take_rows(queue, changes, 9, 2 * len(data)) == data
    assert (len(changes), len(queue)) == (2, 1)


def test_short_way_needs_a_transaction_and_leaves_keepalives_alone() -> None:
    stream = _Stream(_relation())
    data = wire.xlog_data(wire.insert(7, [b"1", None, None]), 0x500)
    queue = deque([data])
    assert stream.assembler.take_rows(queue, [], 9, 1 << 20) is None
    stream.send(wire.begin())
    queue.appendleft(wire.primary_keepalive(0x600))
    assert stream.assembler.take_rows(queue, [], 9, 1 << 20) is None
    assert len(queue) == 2
