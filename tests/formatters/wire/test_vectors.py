from __future__ import annotations

from pglogical_cdc.formatters.wire.vectors import (
    float_vector_json,
    integer_vector_json,
    short_sparse_vector_json,
    sparse_vector_json,
    vector_json,
)


def test_vectors() -> None:
    assert vector_json(b"[1,2.5,-3]") == b"[1.0,2.5,-3.0]"
    assert float_vector_json(b"[1,1e-07]") == b"[1.0,1.0E-7]"
    assert sparse_vector_json(b"{1:1.5,3:2}/5") == (b'{"dimensions":5,"vector":[[1,1.5],[3,2.0]]}')
    assert sparse_vector_json(b"{}/5") == b'{"dimensions":5,"vector":[]}'


def test_more_dimensions_than_16_bits_count() -> None:
    assert short_sparse_vector_json(b"{}/32767") == b'{"dimensions":32767,"vector":[]}'
    assert short_sparse_vector_json(b"{}/32768") is None


def test_vectors_of_integers() -> None:
    assert integer_vector_json(b"1 2 3") == b"[1,2,3]"
    assert integer_vector_json(b"") == b"[]"
