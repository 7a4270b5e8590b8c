"""The linked page of embedding space and map as an element of a screen: it shows what is found and says what is selected.

It is the page that ``placevec explore --html`` writes, with ``app.js`` in addition. It is written once when the app
starts, to a folder that only it is served from.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.app.project import Project
from placevec.explorer.coloring import Coloring
from placevec.explorer.embedded import base64_of
from placevec.explorer.pages.page import MAX_BEYOND, MAX_NAME_LENGTH, page_of
from placevec.explorer.pages.panels import space_content as content_of
from placevec.explorer.reductions import Reduction


@dataclass(frozen=True)
class Selection:
    """What the user selected on the page.

    Attributes:
        focus: the place that was clicked, or None.
        selected: places in a box or lasso.
        point: lon, lat in degrees of a click on the map, where clicks on the map are asked for.
        at: when, milliseconds; 0 before the first selection.
    """

    focus: str | None = None
    selected: tuple[str, ...] = ()
    point: tuple[float, float] | None = None
    at: int = 0


def page_folder(project: Project) -> Path:
    """The folder of the page, which is written at the first call."""

    def write() -> tempfile.TemporaryDirectory[str]:
        folder = tempfile.TemporaryDirectory(prefix="placevec-app-")
        page_of(project.drawn, Path(folder.name) / "index.html", title=project.title, in_app=True)
        return folder

    return Path(project.once("page", write).name)


def space_content(reduction: Reduction) -> dict[str, Any]:
    """The JSON of positions in 2 or 3 dimensions, which the page moves the places to."""
    return _keyed(content_of(reduction))


def results_content(project: Project, query: str | None, found: pd.DataFrame, measure: str) -> dict[str, Any]:
    """The JSON of places that were found, nearest first, and of the place that was asked for.

    At most `MAX_DRAWN` of them, see `drawn_results`. Those that the sample lacks come with what the page needs to draw
    them.
    """
    shown = found.iloc[drawn_results(len(found))]
    ids = [str(one) for one in shown["place_id"]]
    rows = [project.row_of[one] for one in ([] if query is None else [query]) + ids]
    content = {
        "query": query, "ids": ids, "distances": [float(value) for value in shown[measure]],
        "beyond": _beyond(project, np.array(rows, np.int64)),
    }  # fmt: skip
    return _keyed(content)


def drawn_results(count: int) -> NDArray[np.int64]:
    """Ranks, from 0, of the results that are drawn: all, or else the best half of `MAX_DRAWN` and evenly spaced others.

    >>> len(drawn_results(3)), len(drawn_results(100_000)), drawn_results(100_000)[[0, 2_498, -1]].tolist()
    (3, 4999, [0, 2498, 99999])
    """
    if count <= MAX_DRAWN:
        return np.arange(count)
    best = MAX_DRAWN // 2
    others = np.linspace(best, count - 1, MAX_DRAWN - best).astype(np.int64)
    return np.concatenate([np.arange(best), others])


def told_of_results(count: int) -> str:
    """A line for the user where not all results are drawn, otherwise empty.

    >>> told_of_results(5), told_of_results(100_000)[:59]
    ('', 'The space and the map show 4,999 of the 100,000 results: th')
    """
    if count <= MAX_DRAWN:
        return ""
    return (
        f"The space and the map show {MAX_DRAWN:,} of the {count:,} results: the best {MAX_DRAWN // 2:,}, and of the "
        "others a sample evenly spaced by rank. The table and the saved files hold all."
    )


def _beyond(project: Project, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Places among ``rows`` that are not in the sample: ids, names, degrees, and (M, 3) principal components."""
    table, drawn = project.table, project.drawn
    rows = rows[~np.isin(rows, drawn.rows)][:MAX_BEYOND]
    degrees = [
        [None if value != value else value for value in column] for column in table.lonlat[rows].T.tolist()
    ]
    names = [name[:MAX_NAME_LENGTH] if isinstance(name, str) else None for name in table.names[rows]]
    return {
        "ids": [str(one) for one in table.place_id[rows]], "names": names, "lon": degrees[0], "lat": degrees[1],
        "components": base64_of(_components(project, rows)),
    }  # fmt: skip


def _components(project: Project, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(M, 3) positions of any places among the principal components of the sample, which are linear in the vectors."""
    if not len(rows):
        return np.zeros((0, 3), np.float32)

    def fitted() -> NDArray[np.float64]:
        some = project.drawn.rows[:_FITTED_TO]
        vectors = project.table.vectors[some].astype(np.float64)
        known = project.drawn.reduction("pca", 3).components[:_FITTED_TO]
        found = np.linalg.lstsq(np.column_stack([vectors, np.ones(len(some))]), known, rcond=None)[0]
        return np.asarray(found, np.float64)

    weights = project.once("components", fitted)
    return np.asarray(project.table.vectors[rows] @ weights[:-1] + weights[-1], np.float32)


_FITTED_TO = 5_000
MAX_DRAWN = MAX_BEYOND - 1
"""Results drawn at a time; the page keeps one more place, for the query."""


def colorings_content(colorings: Sequence[Coloring]) -> dict[str, Any]:
    """The JSON of colorings of the drawn places, which the page offers; it shows the first."""
    return _keyed({"items": [one.content for one in colorings]})


def show_space(
    project: Project,
    key: str,
    *,
    height: int = 640,
    space: dict[str, Any] | None = None,
    dim: int | None = None,
    colorings: dict[str, Any] | None = None,
    results: dict[str, Any] | None = None,
    picks: bool = False,
) -> Selection:
    """Show the page in the current screen, and return what is selected on it.

    Args:
        project: the places.
        key: name of the element.
        height: pixels.
        space: positions, see `space_content`; None leaves principal components.
        dim: 2 or 3 dimensions; None leaves what the user chose on the page.
        colorings: see `colorings_content`.
        results: see `results_content`.
        picks: whether clicks on the map count as points.
    """
    from streamlit.components.v1 import declare_component

    folder = page_folder(project)
    element = declare_component(f"page_{folder.name.rsplit('-', 1)[1]}", path=folder)
    value = element(
        height=height,
        space=space,
        dim=dim,
        colorings=colorings,
        results=results,
        picks=picks,
        key=key,
        default=None,
    )
    return read_selection(value, project)


def read_selection(value: Any, project: Project) -> Selection:
    """A selection from what the page sent; what is not a place or a point is left out.

    >>> read_selection(None, None)
    Selection(focus=None, selected=(), point=None, at=0)
    """
    if not isinstance(value, dict):
        return Selection()
    known = project.row_of
    focus, selected, point, at = (value.get(name) for name in ("focus", "selected", "point", "at"))
    places = (
        tuple(one for one in selected if isinstance(one, str) and one in known)
        if isinstance(selected, list)
        else ()
    )
    where = None
    if isinstance(point, list) and len(point) == 2 and all(isinstance(one, int | float) for one in point):
        lon, lat = float(point[0]), float(point[1])
        where = (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 else None
    return Selection(
        focus if isinstance(focus, str) and focus in known else None,
        places,
        where,
        at if isinstance(at, int) else 0,
    )


def _keyed(content: dict[str, Any]) -> dict[str, Any]:
    """With a key that changes with the content: the page acts on a change."""
    return {**content, "key": hashlib.sha256(repr(content).encode()).hexdigest()[:16]}
