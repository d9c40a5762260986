from __future__ import annotations

from pglogical_cdc.formatters.wire.vectors import (
    float_vector_json,
    sparse_vector_json,
    vector_json,
)


def test_vectors() -> None:
    assert vector_json(b"[1,2.5,-3]") == b"[1.0,2.5,-3.0]"
    assert float_vector_json(b"[1,1e-07]") == b"[1.0,1.0E-7]"
    assert sparse_vector_json(b"{1:1.5,3:2}/5") == (b'{"dimensions":5,"vector":[[1,1.5],[3,2.0]]}')
    assert sparse_vector_json(b"{}/5") == b'{"dimensions":5,"vector":[]}'
