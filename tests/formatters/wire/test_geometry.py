from __future__ import annotations

import json

import pytest

from pglogical_cdc.formatters.wire.geometry import java_geometry, point_json


def test_point() -> None:
    assert point_json(b"(1.5,-2)") == (
        b'{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}'
    )


def test_point_at_infinity_is_json() -> None:
    content = json.loads(point_json(b"(Infinity,NaN)"))
    assert (content["x"], content["y"]) == ("Infinity", "NaN")


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"<(1,2),1e+20>", b"<(1.0,2.0),1.0E20>"),
        (b"{1,2,3}", b"{1.0,2.0,3.0}"),
        (b"[(0,0),(1,1.5)]", b"[(0.0,0.0),(1.0,1.5)]"),
        (b"(2,2),(0,-0.25)", b"(2.0,2.0),(0.0,-0.25)"),
        (b"((0,0),(1,1),(2,0))", b"((0.0,0.0),(1.0,1.0),(2.0,0.0))"),
        (b"<(Infinity,-Infinity),NaN>", b"<(Infinity,-Infinity),NaN>"),
    ],
)
def test_geometric_text_has_javas_numbers(wire: bytes, expected: bytes) -> None:
    assert java_geometry(wire) == expected
