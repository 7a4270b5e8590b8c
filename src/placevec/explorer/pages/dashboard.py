"""A folder of pages, one for each table of vectors, with a master page that shows and compares them all."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placevec._version import __version__
from placevec.explorer.coloring import Coloring
from placevec.explorer.embedded import base64_of
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.pages.page import PageReport, page_of
from placevec.explorer.pages.template import asset, style_hash
from placevec.explorer.reductions import Method
from placevec.explorer.sample import Drawn
from placevec.io import atomic
from placevec.io.progress import printable

MASTER = "index.html"
_PICTURE = (300, 220)
"""Width and height of a picture in pixels."""
_MARGIN = 10
_LONGEST = 200
_GRAY = "b5b8ba"


@dataclass(frozen=True)
class DashboardReport:
    """The result of writing a dashboard.

    Attributes:
        folder: its folder.
        master: its master page.
        pages: the report of each page, in order.
    """

    folder: Path
    master: Path
    pages: tuple[PageReport, ...]


def dashboard_of(
    tables: Sequence[tuple[str, Drawn]],
    folder: Path,
    *,
    title: str | None = None,
    methods: Sequence[Sequence[Method]],
) -> DashboardReport:
    """Write a page for each table, then the master page, each atomically; other files in the folder stay.

    Args:
        tables: label (raw, untrusted text) and places of each.
        folder: made where it does not exist.
        title: title of the master page.
        methods: projections of each page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages: list[PageReport] = []
    cards = []
    for (label, drawn), of_page in zip(tables, methods, strict=True):
        path = folder / _file_name(label, [page.path.name for page in pages])
        pages.append(page_of(drawn, path, title=label, methods=of_page))
        cards.append(_card(label, drawn, pages[-1]))
    attribution = " · ".join(dict.fromkeys(drawn.attribution for _, drawn in tables))
    atomic.write_text(folder / MASTER, _master(title or "Vectors of places", cards, attribution))
    return DashboardReport(folder, folder / MASTER, tuple(pages))


def _file_name(label: str, taken: Sequence[str]) -> str:
    """A file name of letters, digits and hyphens, so that no path comes from data.

    >>> _file_name("Malta: fused <b>", ["malta-fused-b.html"])
    'malta-fused-b-2.html'
    """
    stem = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60] or "page"
    name, number = f"{stem}.html", 2
    while name in (*taken, MASTER):
        name, number = f"{stem}-{number}.html", number + 1
    return name


def _master(title: str, cards: Sequence[str], attribution: str) -> str:
    style = asset("dashboard.css")
    only = "base-uri 'none'; form-action 'none'"
    values = {
        "policy": f"default-src 'none'; img-src data:; style-src {style_hash(style)}; {only}",
        "title": _text(title), "style": style, "version": html.escape(__version__),
        "attribution": _text(attribution, 2000), "cards": "\n".join(cards),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], asset("dashboard.html"))


def _card(label: str, drawn: Drawn, page: PageReport) -> str:
    """The link to a page, with pictures of its vectors and of where its places are."""
    colors = _colors_of(drawn.by_cluster)
    space = drawn.on_page(page.projections[0]).components[:, :2]  # type: ignore[arg-type]
    ground = mercator_meters(drawn.lonlat)[1]
    pictures = [_picture(points, colors) for points in (space, ground) if np.isfinite(points).any()]
    images = "".join(f'<img alt="" src="data:image/png;base64,{one}">' for one in pictures)
    largest = [kind for kind in drawn.by_cluster.content["categories"] if kind["color"]][:5]
    kinds = "".join(
        f"<li><bdi>{_text(kind['label'])}</bdi> <em>{kind['count']:,}</em></li>" for kind in largest
    )
    facts = " · ".join((drawn.extent, f"{drawn.emb.dim} dimensions", _share(page), drawn.label[1]))
    made = drawn.emb.provenance
    below = f"model {made.model_hash[:12] or 'unknown'} · {page.size_bytes / 1e6:.1f} MB"
    return (
        f'<li><a href="{html.escape(page.path.name)}"><span class="pictures">{images}</span><h2><bdi>{_text(label)}</bdi>'
        f"</h2></a><p>{_text(facts, 400)}</p><ul>{kinds}</ul><p>{_text(below)}</p></li>"
    )


def _share(page: PageReport) -> str:
    return f"{sum(page.explained):.0%} of variance in three components"


def _text(text: str, longest: int = _LONGEST) -> str:
    return html.escape(printable(text[:longest]))


def _colors_of(coloring: Coloring) -> NDArray[np.uint8]:
    """(N, 3) red, green, blue of each place."""
    table = [kind["color"] or _GRAY for kind in coloring.content["categories"]]
    return np.asarray(np.array([list(bytes.fromhex(color)) for color in table], np.uint8)[coloring.values])


def _picture(points: NDArray[Any], colors: NDArray[np.uint8]) -> str:
    """Base64 PNG of (N, 2) points with their colors, north up; points that are not finite are left out."""
    wide, high = _PICTURE
    image = np.full((2 * high, 2 * wide, 3), 251, np.uint8)
    known = np.isfinite(points).all(axis=1)
    at, colors = np.asarray(points[known], np.float64), colors[known]
    low, size = at.min(axis=0), np.ptp(at, axis=0)
    scale = min((wide - 2 * _MARGIN) / max(size[0], 1e-9), (high - 2 * _MARGIN) / max(size[1], 1e-9))
    scale = min(scale, 1e9)
    x = wide + (at[:, 0] - low[0] - size[0] / 2) * 2 * scale
    y = high - (at[:, 1] - low[1] - size[1] / 2) * 2 * scale
    radius = int(np.clip(np.sqrt(0.25 * wide * high / max(len(at), 1)), 2, 6))
    for row in np.random.default_rng(0).permutation(len(at)):  # so that no cluster covers the others
        center = round(x[row]), round(y[row])
        cv2.circle(image, center, radius, [int(part) for part in colors[row]], -1, cv2.LINE_AA)
    content = io.BytesIO()
    Image.fromarray(cv2.resize(image, _PICTURE, interpolation=cv2.INTER_AREA)).save(
        content, "PNG", optimize=True
    )
    return base64_of(content.getvalue())
