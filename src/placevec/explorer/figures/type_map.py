"""A figure of places in the colors of their predicted types, over the map if there is one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from placevec.explorer.coloring import COLORS
from placevec.explorer.figures.canvas import INK, PAPER, QUIET, fonts, latin, shown
from placevec.explorer.maps.pictures import Box, MapPictures
from placevec.explorer.maps.scene import has_map
from placevec.geo import MAX_MERCATOR_LATITUDE, lonlat_to_tile_xy
from placevec.inference.typed_places import TypedPlaces
from placevec.io.atomic import replacing

_ZOOM = 17
_PX = 1400
_DOTS = 150
_SHARP_TILES = 16
"""Tiles along a map's side up to which it is drawn from its pixels: 200 MB of twelve layers."""
_OTHER = "b5b8ba"


def write_type_map(found: TypedPlaces, path: Path, *, title: str | None = None) -> None:
    """Write a PNG, atomically: a dot per place, larger where the type is more probable; rare types are gray."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lonlat = found.dataset.lonlat[found.rows]
    there = np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) < MAX_MERCATOR_LATITUDE)
    codes, shares = found.codes[there], found.probabilities[there].max(axis=1)
    mapped = has_map(found.dataset)
    xy = lonlat_to_tile_xy(lonlat[there, 0], lonlat[there, 1], found.dataset.zoom if mapped else _ZOOM)
    names, counts = np.unique(codes, return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")][: len(COLORS)].tolist()
    with matplotlib.rc_context({"font.family": fonts()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(10.0, 8.0), dpi=_DOTS, facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.02, 0.05, 0.66, 0.88))
        axes.set_axis_off()
        axes.set_aspect("equal")
        if len(xy):
            margin = 0.04 * max(float(np.ptp(xy, axis=0).max()), 0.5)
            x0, y0 = (xy.min(axis=0) - margin).tolist()
            x1, y1 = (xy.max(axis=0) + margin).tolist()
            if mapped:
                _draw_map(axes, MapPictures.of(found.dataset), (x0, y0, x1, y1))
            axes.set_xlim(x0, x1)
            axes.set_ylim(y1, y0)
            for code in [*(one for one in names.tolist() if one not in kept), *reversed(kept)]:
                some = codes == code
                color = f"#{COLORS[kept.index(code)] if code in kept else _OTHER}"
                axes.scatter(
                    xy[some, 0],
                    xy[some, 1],
                    s=6 + 40 * shares[some],
                    c=color,
                    edgecolors=PAPER,
                    linewidths=0.4,
                )
        figure.text(
            0.02, 0.965, shown(title or f"Types of places: {found.dataset.name}", 100), fontsize=13, color=INK,
            va="center", parse_math=False,
        )  # fmt: skip
        size = dict(zip(names.tolist(), counts.tolist(), strict=True))
        rows = [
            (f"#{COLORS[at]}", f"{found.guesses.types[code]}  {size[code]:,}") for at, code in enumerate(kept)
        ]
        if len(kept) < len(names):
            rows.append((f"#{_OTHER}", f"{len(names) - len(kept)} other types"))
        for line, (color, text) in enumerate(rows):
            high = 0.9 - 0.032 * line
            figure.text(0.71, high, "●", color=color, fontsize=11, va="center")
            figure.text(0.73, high, shown(text, 34), color=INK, fontsize=9, va="center", parse_math=False)
        note = f"Nearest type by name, {found.view}, not calibrated. {found.attribution}"
        figure.text(0.02, 0.02, shown(note, 150), fontsize=7, color=QUIET, va="center", parse_math=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Description": latin(found.attribution)})


def _draw_map(axes: Any, maps: MapPictures, box: Box) -> None:
    """The map in a box: its pixels where it is small, else its coverage."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    if side <= _SHARP_TILES:
        box = ((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, (x0 + x1 + side) / 2, (y0 + y1 + side) / 2)
        content = maps.read(box, _PX)
    else:
        content = maps.read_coarse(box, round((x1 - x0) / side * _PX), round((y1 - y0) / side * _PX))
    meters = maps.meters_per_tile((y0 + y1) / 2) * side / _PX
    axes.imshow(maps.picture(content, meters), extent=(box[0], box[2], box[3], box[1]), alpha=0.55)
