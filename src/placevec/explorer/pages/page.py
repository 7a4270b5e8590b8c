"""A self-contained page: the embedding space next to the map, with linked selection; or the map alone, with popups.

It works offline from ``file://`` and contains everything it shows: principal components, the rendered map, a thumbnail
of every place, and the vectors, from which the browser computes exact nearest neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from placevec._version import __version__
from placevec.explorer.coloring import CLUSTER, Coloring, of_nothing
from placevec.explorer.embedded import base64_of, embeddable_json
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.pages.template import fill_page
from placevec.explorer.pages.vectors import PackedVectors, pack_vectors
from placevec.explorer.reductions import principal_components
from placevec.explorer.sample import Drawn
from placevec.io import atomic

if TYPE_CHECKING:
    pass

Layout = Literal["both", "map"]
MAX_NAME_LENGTH = 500
"""Maximum number of characters of a name."""


@dataclass(frozen=True)
class PageReport:
    """The result of writing a page.

    Attributes:
        path: the HTML file.
        size_bytes: its size.
        places_drawn: number of places on it: all, or a random sample.
        places_total: number of places in the table.
        explained: share of variance explained by each of the three components.
        map_drawn: whether there is a base map.
        preview_px: side of a thumbnail in pixels, or None without thumbnails.
        vector_bits: precision of the vectors used to rank neighbors: 16 (exact ranks) or 8.
        parts: size of each part of the page in bytes.
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


def page_of(
    drawn: Drawn,
    target: str | PathLike[str],
    *,
    title: str | None = None,
    served: bool = False,
    in_app: bool = False,
) -> PageReport:
    """Write the page atomically; it opens on the user's first column, if any.

    ``served``, ``in_app``: see `placevec.explorer.pages.template.fill_page`.
    """
    own = [drawn.by_cluster if one.key == CLUSTER else one for one in drawn.columns]
    others = drawn.known[: len(drawn.known) - len(own)]
    clusters = [] if any(one.key == CLUSTER for one in own) else [drawn.by_cluster]
    colorings = [*own, *others, *clusters, drawn.by_components("pca")]
    return compose(drawn, target, "both", colorings, title=title, served=served, in_app=in_app)


def compose(
    drawn: Drawn,
    target: str | PathLike[str],
    layout: Layout,
    colorings: Sequence[Coloring],
    *,
    title: str | None = None,
    served: bool = False,
    in_app: bool = False,
) -> PageReport:
    """Write a page with a layout, ``both`` views or the ``map`` alone; the first coloring is the initial one."""
    emb, lonlat = drawn.emb, drawn.lonlat
    component, explained = principal_components(drawn.vectors)
    packed = pack_vectors(drawn.vectors)
    scene = drawn.scene
    origin, mercator = mercator_meters(lonlat)

    first: dict[str, Any] = {
        "id": [str(one) for one in drawn.place_id],
        "name": [name[:MAX_NAME_LENGTH] if isinstance(name, str) else None for name in drawn.names],
        "lon": base64_of(lonlat[:, 0]),
        "lat": base64_of(lonlat[:, 1]),
        "east": base64_of(mercator[:, 0] - origin[0]),
        "north": base64_of(mercator[:, 1] - origin[1]),
        "component": base64_of(component),
        "reach": None if scene is None else base64_of(scene.reach(mercator)),
        "colorings": [one.content for one in colorings or [of_nothing(len(drawn))]],
        "queries": [drawn.in_words(one) for one in drawn.queries],
        "ask": served,
        "app": in_app,
        "meta": _meta(drawn, packed, explained)
        | {"places_drawn": len(drawn), "seed": drawn.seed, "origin": origin.tolist()},
    }
    vectors = {
        "bits": packed.bits, "dim": packed.values.shape[1],
        "values": base64_of(packed.values), "scale": base64_of(packed.scale),
    }  # fmt: skip
    first_texts = {"places": embeddable_json(first)}
    later_texts = {
        "map": embeddable_json(None if scene is None else scene.basemap_content(origin)),
        "vectors": embeddable_json(vectors),
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
        explained=explained,
        map_drawn=scene is not None and scene.basemap is not None,
        preview_px=None if scene is None else scene.preview_px,
        vector_bits=packed.bits,
        parts={name: len(text) for name, text in (first_texts | later_texts).items()},
    )


def _meta(drawn: Drawn, packed: PackedVectors, explained: tuple[float, float, float]) -> dict[str, Any]:
    emb = drawn.emb
    note = "" if packed.bits == 16 else " of vectors rounded to 8 bits"
    if packed.kept < 1.0:
        note += (
            f" in {packed.values.shape[1]} dimensions, which keep {packed.kept:.1%} of their squared length"
        )
    return {
        "version": emb.provenance.placevec_version or __version__,
        "model_hash": emb.provenance.model_hash,
        "dataset_hash": emb.provenance.dataset_hash,
        "created": emb.provenance.created,
        "places_total": len(emb.place_id),
        "without_coordinates": int((~np.isfinite(drawn.lonlat).all(axis=1)).sum()),
        "dim": int(emb.vectors.shape[1]),
        "explained": list(explained),
        "vector_note": note,
        "apart_m": drawn.apart_m,
    }
