"""A self-contained page: the embedding space next to the map, with linked selection; or the map alone, with popups.

It works offline from ``file://`` and contains everything it shows: principal components, the rendered map, a thumbnail
of every place, and the vectors, from which the browser computes exact nearest neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from placevec._version import __version__
from placevec.errors import InputError
from placevec.explorer.coloring import CLUSTER, Coloring, of_nothing
from placevec.explorer.embedded import base64_of, embeddable_json
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.pages.panels import MAX_PANELS, Panel
from placevec.explorer.pages.template import fill_page
from placevec.explorer.pages.vectors import VECTOR_BYTES
from placevec.explorer.reductions import Method
from placevec.explorer.sample import Drawn
from placevec.io import atomic

Layout = Literal["both", "map"]
MAX_NAME_LENGTH = 500
"""Maximum number of characters of a name."""

MAX_BEYOND = 5_000
"""Maximum number of places beyond the sample that the app finds and its page shows at a time."""


@dataclass(frozen=True)
class PageReport:
    """The result of writing a page.

    Attributes:
        path: the HTML file.
        size_bytes: its size.
        places_drawn: number of places on it: all, or a random sample.
        places_total: number of places in the table.
        explained: share of variance explained by each of the three components.
        projections: the methods that can be switched between.
        panels: the tables or views side by side.
        map_drawn: whether there is a base map.
        preview_px: side of a thumbnail in pixels, or None without thumbnails.
        vector_bits: precision of the vectors used to rank neighbors: 16 (exact ranks) or 8.
        parts: size of each part of the page in bytes.
    """

    path: Path
    size_bytes: int
    places_drawn: int
    places_total: int
    explained: tuple[float, ...]
    projections: tuple[str, ...]
    panels: tuple[str, ...]
    map_drawn: bool
    preview_px: int | None
    vector_bits: int
    parts: dict[str, int]


def page_of(
    drawn: Drawn,
    target: str | PathLike[str],
    *,
    title: str | None = None,
    methods: Sequence[Method] = ("pca",),
    label: str = "",
    beside: Sequence[Panel] = (),
    served: bool = False,
    in_app: bool = False,
) -> PageReport:
    """Write the page atomically; it opens on the user's first column, or else on the clusters.

    Args:
        drawn: the places and their vectors.
        target: the file.
        title: its title.
        methods: projections that can be switched between; it opens on the first.
        label: name of the vectors if others are ``beside`` them.
        beside: other vectors of the same places.
        served, in_app: see `placevec.explorer.pages.template.fill_page`.
    """
    own = [drawn.by_cluster if one.key == CLUSTER else one for one in drawn.columns]
    others = drawn.known[: len(drawn.known) - len(own)]
    clusters = [] if any(one.key == CLUSTER for one in own) else [drawn.by_cluster]
    of_others = [one for number, panel in enumerate(beside, 1) for one in panel.colorings(number)]
    colorings = [*own, *clusters, drawn.by_components("pca"), *of_others, *others]
    panels = [Panel.first(drawn, label), *beside]
    return compose(
        drawn, target, "both", colorings, title=title, methods=methods, panels=panels, served=served, in_app=in_app
    )  # fmt: skip


def compose(
    drawn: Drawn,
    target: str | PathLike[str],
    layout: Layout,
    colorings: Sequence[Coloring],
    *,
    title: str | None = None,
    methods: Sequence[Method] = ("pca",),
    panels: Sequence[Panel] = (),
    served: bool = False,
    in_app: bool = False,
) -> PageReport:
    """Write a page with a layout, ``both`` views or the ``map`` alone; the first coloring is the initial one.

    Raises:
        InputError: more than `MAX_PANELS` tables or views.
    """
    emb, lonlat = drawn.emb, drawn.lonlat
    panels = panels or [Panel.first(drawn)]
    if len(panels) > MAX_PANELS:
        raise InputError(f"a page shows at most {MAX_PANELS} tables or views side by side; got {len(panels)}")
    packed = [panel.vectors(VECTOR_BYTES // len(panels)) for panel in panels]
    scene = drawn.scene
    origin, mercator = mercator_meters(lonlat)
    shapes, without_shapes = drawn.shapes(mercator, origin)

    first: dict[str, Any] = {
        "id": [str(one) for one in drawn.place_id],
        "name": [name[:MAX_NAME_LENGTH] if isinstance(name, str) else None for name in drawn.names],
        "lon": base64_of(lonlat[:, 0]),
        "lat": base64_of(lonlat[:, 1]),
        "east": base64_of(mercator[:, 0] - origin[0]),
        "north": base64_of(mercator[:, 1] - origin[1]),
        "panels": [{"label": panel.label, "spaces": panel.spaces(methods)} for panel in panels],
        "shapes": shapes,
        "reach": None if scene is None else base64_of(scene.reach(mercator)),
        "colorings": [one.content for one in colorings or [of_nothing(len(drawn))]],
        "queries": [drawn.in_words(one) for one in drawn.queries],
        "ask": served,
        "app": in_app,
        "beyond": min(MAX_BEYOND, drawn.total - len(drawn)) if in_app else 0,
        "meta": _meta(drawn) | {
            "without_shapes": without_shapes, "places_drawn": len(drawn), "seed": drawn.seed, "origin": origin.tolist(),
        },
    }  # fmt: skip
    first_texts = {"places": embeddable_json(first)}
    later_texts = {
        "map": embeddable_json(None if scene is None else scene.basemap_content(origin)),
        "vectors": embeddable_json([content for content, _ in packed]),
        "previews": embeddable_json(None if scene is None else scene.preview_content()),
    }
    page = fill_page(
        title=title or drawn.title,
        attribution=drawn.attribution,
        version=__version__,
        layout=layout,
        pictures="colors" if scene is not None and scene.shares is None else "layers",
        served=served,
        in_app=in_app,
        first=first_texts,
        later=later_texts,
    )
    target = Path(target)
    atomic.write_text(target, page)
    return PageReport(
        path=target,
        size_bytes=target.stat().st_size,
        places_drawn=len(drawn),
        places_total=len(emb.place_id),
        explained=drawn.reduction("pca", 3).explained,
        projections=tuple(space["key"] for space in first["panels"][0]["spaces"]),
        panels=tuple(panel.label for panel in panels),
        map_drawn=scene is not None and scene.basemap is not None,
        preview_px=None if scene is None else scene.preview_px,
        vector_bits=min(made.bits for _, made in packed),
        parts={name: len(text) for name, text in (first_texts | later_texts).items()},
    )


def _meta(drawn: Drawn) -> dict[str, Any]:
    emb = drawn.emb
    return {
        "version": emb.provenance.placevec_version or __version__,
        "model_hash": emb.provenance.model_hash,
        "dataset_hash": emb.provenance.dataset_hash,
        "created": emb.provenance.created,
        "places_total": len(emb.place_id),
        "without_coordinates": int((~np.isfinite(drawn.lonlat).all(axis=1)).sum()),
        "dim": int(emb.vectors.shape[1]),
        "apart_m": drawn.apart_m,
    }
