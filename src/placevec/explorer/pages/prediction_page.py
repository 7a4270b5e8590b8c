"""Predicted distributions as a page: synchronized maps side by side that show the value under the pointer.

It works offline from ``file://``. Names of classes and models are embedded as data, never as markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec._version import __version__
from placevec.errors import UsageError
from placevec.explorer.embedded import base64_of, embeddable_json
from placevec.explorer.figures.canvas import coastline
from placevec.explorer.figures.predictions import (
    ModelQuery,
    credit_of,
    hatched_of,
    limits_of,
    meaning_of,
    sampled,
)
from placevec.explorer.pages.template import asset, policy_of
from placevec.geo import Floats
from placevec.inference.grid import Grid
from placevec.inference.query import Question
from placevec.inference.raster import TILE, strips
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress, printable

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MAX_CELLS = 20_000_000
"""Maximum number of cells of all maps of a page: 53 MB."""
_NONE = 65535
_LONGEST_NAME = 200


@dataclass(frozen=True)
class DistributionPageReport:
    """The result of writing a page.

    Attributes:
        path: the HTML file.
        size_bytes: its size.
        maps: number of maps, classes times models.
        lowest, highest: limits of the color scale.
        points: number of points drawn, over all classes.
    """

    path: Path
    size_bytes: int
    maps: int
    lowest: float
    highest: float
    points: int

    @property
    def summary(self) -> str:
        """A one-line summary."""
        maps = "1 map" if self.maps == 1 else f"{self.maps} maps"
        return (
            f"{maps}, {self.size_bytes / 1e6:.1f} MB, colors from {self.lowest:.4g} to {self.highest:.4g}; "
            "open it in a browser"
        )


def write_distribution_page(
    queries: Sequence[ModelQuery],
    grid: Grid,
    path: Path,
    *,
    land: BaseGeometry | None = None,
    land_only: bool = False,
    points: Sequence[Floats] | None = None,
    title: str | None = None,
    support: bool = True,
    credit: str = "",
    seed: int = 0,
    progress: Progress = SILENT,
) -> DistributionPageReport:
    """Write the page atomically; arguments as for `prediction_figure.write_figure`, with a ``grid`` instead of an area.

    Raises:
        UsageError: too many cells for a page.
    """
    names = queries[0].question.names
    cells = grid.width * grid.height * len(names) * len(queries)
    if cells > MAX_CELLS:
        raise UsageError(
            f"{len(names) * len(queries)} maps of {grid.width} x {grid.height} cells are too large for a page: use a"
            " coarser --resolution, fewer classes or a smaller --bbox; a .tif has no limit"
        )
    values = np.empty((len(names), len(queries), grid.height, grid.width), np.float32)
    for column, one in enumerate(queries):
        for start, strip in strips(one.question, grid, land if land_only else None, progress):
            values[:, column, start : start + strip.shape[1]] = strip
    low, high = limits_of(values, one.question.kind == "number")
    dots = sampled(points, seed)
    area = grid.area
    east = area.east + (360.0 if area.crosses_antimeridian else 0.0)
    content: dict[str, Any] = {
        "grid": {
            "west": area.west, "south": area.south, "east": east, "north": area.north,
            "width": grid.width, "height": grid.height,
        },
        "world": east - area.west >= 180.0,
        "models": [one.label[:_LONGEST_NAME] for one in queries],
        "classes": [name[:_LONGEST_NAME] for name in names],
        "low": low,
        "high": high,
        "meaning": meaning_of(queries),
        "layers": [base64_of(_levels(layer, low, high)) for row in values for layer in row],
        "coast": [] if land is None else [base64_of(line.astype(np.float32)) for line in coastline(land)],
        "bare": [_bare(one.question, grid) if support else None for one in queries],
        "hatched": hatched_of(queries) if support else "",
        "points": None if dots is None else [base64_of(places.astype(np.float32)) for places in dots],
    }  # fmt: skip
    atomic.write_text(
        path, _filled(title or _title(names), credit_of(queries, credit), embeddable_json(content))
    )
    return DistributionPageReport(
        path,
        path.stat().st_size,
        len(names) * len(queries),
        low,
        high,
        sum(len(places) for places in dots or ()),
    )


def _bare(question: Question, grid: Grid) -> str | None:
    """One bit a cell, rows from the north: no training point within reach; None for models that keep none."""
    if question.reliability is None:
        return None
    parts = [
        question.unsupported(grid.rows(start, min(start + TILE, grid.height)))
        for start in range(0, grid.height, TILE)
    ]
    found = np.concatenate(parts)
    return base64_of(np.packbits(found)) if found.any() else None


def _levels(layer: Any, low: float, high: float) -> Any:
    """Values scaled to 0 to 65534 between the limits of the color scale; 65535 for missing values."""
    share = np.clip((layer - low) / (high - low), 0.0, 1.0)
    return np.where(np.isfinite(layer), np.rint(np.nan_to_num(share) * (_NONE - 1)), _NONE).astype(np.uint16)


def _title(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "Predicted distributions"


def _filled(title: str, credit: str, content: str) -> str:
    """The page as text, filled in one pass, so that inserted values are never scanned for placeholders."""
    style, script = asset("distribution.css"), asset("distribution.js")
    values = {
        "policy": policy_of(script, style),
        "title": html.escape(printable(title[:_LONGEST_NAME])),
        "attribution": html.escape(printable(credit)),
        "version": html.escape(__version__),
        "style": style,
        "script": script,
        "blocks": f'<script type="application/json" id="placevec-maps">{content}</script>',
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], asset("distribution.html"))
