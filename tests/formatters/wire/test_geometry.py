from __future__ import annotations

import base64
import json

from pglogical_cdc.formatters.wire.geometry import geometric_base64_json, point_json


def test_point() -> None:
    assert point_json(b"(1.5,-2)") == (
        b'{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}'
    )


def test_point_at_infinity_is_json() -> None:
    content = json.loads(point_json(b"(Infinity,NaN)"))
    assert (content["x"], content["y"]) == ("Infinity", "NaN")


def test_geometric_text_has_javas_numbers() -> None:
    text = geometric_base64_json(b"<(1,2),1e+20>")
    assert base64.b64decode(json.loads(text)) == b"<(1.0,2.0),1.0E20>"
