"""One self-contained page: the embedding space beside the map, linked by brushing.

It opens from ``file://`` with the network blocked. What it shows is in it: principal components, the map drawn
from the map view, a preview of every place, and the vectors, from which the browser ranks neighbours exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec import __version__, atomic
from placevec.errors import InputError
from placevec.explorer.colourings import Colouring, of_blocks, of_columns, of_layers, of_nothing
from placevec.explorer.template import base64_of, embeddable_json, fill_page
from placevec.explorer.vectors import PackedVectors, pack_vectors, principal_components
from placevec.geo import MAX_MERCATOR_LATITUDE, MERCATOR_HALF, Floats, lonlat_to_tile_xy
from placevec.progress import SILENT, Progress

if TYPE_CHECKING:
    import pandas as pd

    from placevec.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.explorer.pictures import Ground, Previews

ATTRIBUTION = "© OpenStreetMap contributors, ODbL"
"""Shown when neither the vectors nor the dataset name their own."""
WORLD = 2.0 * MERCATOR_HALF
MOST_NAME = 500
"""Characters of a name that are kept."""


@dataclass(frozen=True)
class PageReport:
    """What was written.

    Attributes:
        path: the page.
        size_bytes: of the page.
        places_drawn: places on it: all, or a seeded sample.
        places_total: places in the table.
        explained: share of the variance of each of the three components.
        map_drawn: whether the map is drawn beneath the places.
        preview_px: side of the previews in pixels, or None without.
        vector_bits: precision of the vectors that neighbours are ranked from: 16 (exact ranks) or 8.
        parts: bytes of each part of the page.
    """

    path: Path
    size_bytes: int
    places_drawn: int
    places_total: int
    explained: tuple[float, float, float]
    map_drawn: bool
    preview_px: int | None
    vector_bits: int
    parts: dict[str, int]


def write_page(
    emb: Embeddings,
    target: str | PathLike[str],
    *,
    dataset: Dataset | None = None,
    columns: pd.DataFrame | None = None,
    title: str | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> PageReport:
    """Write the page; whole or not at all.

    Args:
        emb: the places and their vectors.
        target: the HTML file.
        dataset: where the map, previews, dominant layer and content density come from; without it, or without
            a map in it, the page shows points only.
        columns: more to colour by: a row a place in the order of ``emb``, or any rows with a ``place_id``.
        title: shown at the top; the dataset's name by default.
        max_places: more than these are drawn as a seeded sample, and the page says so.
        seed: of the sample.
        progress: where to report.

    Raises:
        InputError: no places, a wrong ``max_places``, columns that do not fit, a dataset of other places.
    """
    total = len(emb.place_id)
    if total == 0:
        raise InputError("there is no place to draw: the table of embeddings is empty")
    if max_places < 1:
        raise InputError(f"max_places must be at least 1; got {max_places}")
    rows = np.arange(total)
    if total > max_places:
        rows = np.sort(np.random.default_rng(seed).choice(total, max_places, replace=False))
    coloured = of_columns(columns, emb.place_id) if columns is not None else []
    if total > max_places and columns is not None:
        coloured = of_columns(_at(columns, emb.place_id, rows), emb.place_id[rows])

    lonlat = np.asarray(emb.lonlat, np.float64)[rows]
    origin, mercator = mercator_metres(lonlat)
    component, explained = principal_components(emb.vectors[rows])
    packed = pack_vectors(emb.vectors[rows])
    drawn = _draw(dataset, emb.place_id[rows], progress)
    colourings = _colourings(drawn, lonlat, coloured)

    places: dict[str, Any] = {
        "id": [str(one) for one in emb.place_id[rows]],
        "name": [None if name is None else str(name)[:MOST_NAME] for name in emb.names[rows]],
        "lon": base64_of(lonlat[:, 0]),
        "lat": base64_of(lonlat[:, 1]),
        "east": base64_of(mercator[:, 0] - origin[0]),
        "north": base64_of(mercator[:, 1] - origin[1]),
        "component": base64_of(component),
        "reach": None if drawn is None else base64_of(_reach(drawn, mercator)),
        "colourings": [one.content for one in colourings],
        "meta": _meta(emb, dataset, packed, explained, origin, rows, seed, lonlat),
    }
    later = {
        "vectors": {
            "bits": packed.bits, "dim": packed.values.shape[1],
            "values": base64_of(packed.values), "scale": base64_of(packed.scale),
        },
        "map": None if drawn is None or drawn.ground is None else _ground(drawn, origin),
        "previews": None if drawn is None else drawn.previews.content,
    }  # fmt: skip
    first_texts = {"places": embeddable_json(places)}
    later_texts = {name: embeddable_json(content) for name, content in later.items()}
    page = fill_page(
        title=title or (dataset.name if dataset is not None else "Places"),
        attribution=_attribution(emb, dataset),
        version=__version__,
        first=first_texts,
        later=later_texts,
    )
    target = Path(target)
    atomic.write_text(target, page)
    return PageReport(
        path=target,
        size_bytes=target.stat().st_size,
        places_drawn=len(rows),
        places_total=total,
        explained=explained,
        map_drawn=later["map"] is not None,
        preview_px=None if drawn is None else drawn.previews.px,
        vector_bits=packed.bits,
        parts={name: len(text) for name, text in (first_texts | later_texts).items()},
    )


def _at(columns: pd.DataFrame, place_id: NDArray[Any], rows: NDArray[Any]) -> pd.DataFrame:
    """The columns of the places that are drawn."""
    return columns if "place_id" in columns.columns else columns.iloc[rows]


def _attribution(emb: Embeddings, dataset: Dataset | None) -> str:
    return emb.provenance.attribution or (dataset.attribution if dataset is not None else "") or ATTRIBUTION


def _colourings(drawn: _Drawn | None, lonlat: Floats, columns: list[Colouring]) -> list[Colouring]:
    found = [] if drawn is None else of_layers(drawn.layers, drawn.previews.shares)
    blocks = of_blocks(lonlat)
    return [*found, *([blocks] if blocks else []), *columns] or [of_nothing(len(lonlat))]


def _meta(
    emb: Embeddings, dataset: Dataset | None, packed: PackedVectors, explained: tuple[float, ...],
    origin: Floats, rows: NDArray[Any], seed: int, lonlat: Floats,
) -> dict[str, Any]:  # fmt: skip
    note = "" if packed.bits == 16 else " of vectors rounded to 8 bits"
    if packed.kept < 1.0:
        note += f" and {packed.values.shape[1]} dimensions ({packed.kept:.1%} of their length)"
    return {
        "version": emb.provenance.placevec_version or __version__,
        "model_hash": emb.provenance.model_hash,
        "dataset_hash": emb.provenance.dataset_hash,
        "created": emb.provenance.created,
        "places_total": len(emb.place_id),
        "places_drawn": len(rows),
        "without_coordinates": int((~np.isfinite(lonlat).all(axis=1)).sum()),
        "seed": seed,
        "dim": int(emb.vectors.shape[1]),
        "explained": list(explained),
        "vector_note": note,
        "origin": origin.tolist(),
    }


# --- where places are --------------------------------------------------------------------------------------


def mercator_metres(lonlat: Floats) -> tuple[Floats, Floats]:
    """Places in Web-Mercator metres, x east and y north, not torn apart at the 180th meridian.

    Args:
        lonlat: (N, 2) degrees; NaN without coordinates.

    Returns:
        (2,) a point amid them, and (N, 2) metres; NaN where there is no position on the map. Places across
        the antimeridian are moved by one turn of the Earth, so that x has no gap wider than it must.
    """
    metres = np.full(lonlat.shape, np.nan)
    known = np.isfinite(lonlat).all(axis=1)
    known[known] = np.abs(lonlat[known, 1]) <= MAX_MERCATOR_LATITUDE
    if not known.any():
        return np.zeros(2), metres
    xy = lonlat_to_tile_xy(lonlat[known, 0], lonlat[known, 1], 0)
    x = np.sort(xy[:, 0])
    gaps = np.diff(np.append(x, x[0] + 1.0))
    start = x[(int(gaps.argmax()) + 1) % len(x)]  # east of the widest gap
    turned = np.where(xy[:, 0] < start, xy[:, 0] + 1.0, xy[:, 0])
    metres[known] = np.stack([(turned - 0.5) * WORLD, (0.5 - xy[:, 1]) * WORLD], axis=1)
    origin = (metres[known].min(axis=0) + metres[known].max(axis=0)) / 2.0
    return origin, metres


def _box_metres(box: tuple[float, ...], zoom: int, origin: Floats) -> list[float]:
    """(west, south, east, north) metres from ``origin`` of a box in tile coordinates."""
    x0, y0, x1, y1 = (value / 2.0**zoom for value in box)
    west, east = (x0 - 0.5) * WORLD - origin[0], (x1 - 0.5) * WORLD - origin[0]
    turns = np.round((west + east) / 2.0 / WORLD) * WORLD
    return [float(west - turns), float((0.5 - y1) * WORLD - origin[1]),
            float(east - turns), float((0.5 - y0) * WORLD - origin[1])]  # fmt: skip


# --- what the dataset shows --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn:
    """What was drawn from a dataset's map."""

    layers: tuple[str, ...]
    zoom: int
    footprints: Floats
    previews: Previews
    ground: Ground | None


def _draw(dataset: Dataset | None, place_id: NDArray[Any], progress: Progress) -> _Drawn | None:
    if dataset is None or not (dataset.path / "map_coverage.tif").exists():
        return None
    from placevec.explorer.pictures import MapPictures, draw_ground, draw_previews

    row_of = {one: row for row, one in enumerate(dataset.places["place_id"])}
    rows = np.array([row_of.get(one, -1) for one in place_id])
    if (rows < 0).all():
        raise InputError(f"none of the embedded places is in the dataset {dataset.path}")
    footprints = np.where((rows >= 0)[:, None], dataset.footprints()[rows], np.nan)
    pictures = MapPictures.of(dataset)
    previews = draw_previews(pictures, footprints, progress)
    return _Drawn(pictures.layers, pictures.zoom, footprints, previews, draw_ground(pictures, footprints, progress))


def _reach(drawn: _Drawn, mercator: Floats) -> NDArray[np.float32]:
    """(N, 4) footprint's west, south, east, north in metres from the place; zero where there is none."""
    box = drawn.footprints / 2.0**drawn.zoom
    x = (box[:, [0, 2]] - 0.5) * WORLD - mercator[:, [0]]
    x -= np.round(x.mean(axis=1, keepdims=True) / WORLD) * WORLD
    y = (0.5 - box[:, [3, 1]]) * WORLD - mercator[:, [1]]
    return np.nan_to_num(np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)).astype(np.float32)


def _ground(drawn: _Drawn, origin: Floats) -> dict[str, Any]:
    from placevec.explorer.cartography import PICTURE_TYPE

    ground = drawn.ground
    assert ground is not None
    tile = WORLD / 2.0**drawn.zoom

    def piece(item: tuple[tuple[float, float, float, float], bytes]) -> dict[str, Any]:
        return {"box": _box_metres(item[0], drawn.zoom, origin), "data": base64_of(item[1])}

    overview = None
    if ground.overview is not None:
        overview = piece(ground.overview) | {"metres_per_pixel": tile / ground.overview_px_per_tile}
    return {
        "type": PICTURE_TYPE,
        "metres_per_pixel": tile / ground.px_per_tile,
        "overview": overview,
        "pieces": [piece(item) for item in ground.pieces],
    }
