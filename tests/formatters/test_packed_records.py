"""Records that have all in common but key and value."""

from __future__ import annotations

from pglogical_cdc.formatters.base import ControlRecord, Record
from pglogical_cdc.formatters.packed_records import PackedRecords
from pglogical_cdc.lsn import LSN


def test_records_come_out_as_they_were() -> None:
    headers = (("a", b"1"),)
    packed = PackedRecords((Record, "t", headers, (LSN(5), 0)), [b"1", None], [b"x", None])
    assert list(packed.unpack()) == [
        Record("t", b"1", b"x", headers, (LSN(5), 0)),
        Record("t", None, None, headers, (LSN(5), 0)),
    ]
    assert "b'x'" not in repr(packed)


def test_their_class_is_kept() -> None:
    packed = PackedRecords((ControlRecord, "t", (), None), [b"1"], [b"x"])
    assert [*map(type, packed.unpack())] == [ControlRecord]
