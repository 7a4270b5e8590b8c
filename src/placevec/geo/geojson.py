"""GeoJSON (RFC 7946), written one feature at a time: a table of any size, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from placevec.geo import Floats
from placevec.io.atomic import replacing


def write_geojson(
    path: str | PathLike[str],
    lonlat: Floats,
    properties: Iterable[Mapping[str, Any] | str],
    members: Mapping[str, Any],
) -> None:
    """Write a feature collection of points.

    Args:
        path: the file.
        lonlat: (N, 2) degrees; a place without coordinates has the geometry null.
        properties: N of them, drawn one by one: a mapping, or the text of a JSON object.
        members: further members of the collection, such as ``attribution``; readers ignore those that they do
            not know (RFC 7946, section 6.1).

    Names are written as they are; half characters, which are no UTF-8, as JSON escapes.
    """
    opening = "".join(f",\n{json.dumps(key)}: {_text(value)}" for key, value in members.items())
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.write(f'{{"type": "FeatureCollection"{opening},\n"features": [')
        for number, ((lon, lat), content) in enumerate(zip(lonlat.tolist(), properties, strict=True)):
            text = content if isinstance(content, str) else _text(content)
            point = "null" if lon != lon or lat != lat else _point(lon, lat)
            file.write(
                f'{"," if number else ""}\n{{"type":"Feature","geometry":{point},"properties":{text}}}'
            )
        file.write("\n]}\n")


def _point(lon: float, lat: float) -> str:
    """Seven digits are a centimeter."""
    return f'{{"type":"Point","coordinates":[{round(lon, 7)!r},{round(lat, 7)!r}]}}'


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
