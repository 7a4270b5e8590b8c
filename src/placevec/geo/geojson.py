"""Writing GeoJSON (RFC 7946) one feature at a time, so memory does not grow with the table; the write is atomic."""

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
        lonlat: (N, 2) lon, lat degrees; places without coordinates get a null geometry.
        properties: N items, consumed one at a time: each a mapping, or the text of a JSON object.
        members: additional members of the collection, such as ``attribution``; readers ignore unknown members
            (RFC 7946, section 6.1).

    Text is written unescaped, except lone surrogates, which are not valid UTF-8 and become JSON escapes.
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
    """Seven decimals resolve about a centimeter."""
    return f'{{"type":"Point","coordinates":[{round(lon, 7)!r},{round(lat, 7)!r}]}}'


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
