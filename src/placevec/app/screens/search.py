"""Similarity search: a query of any kind, the places most like it, on the map, in the space and beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from placevec.app.elements import picture_grid, save_buttons
from placevec.app.pictures import pictures_of
from placevec.app.project import Project
from placevec.app.projections import Bar
from placevec.app.searching import (
    BACKENDS,
    METRICS,
    Query,
    compared,
    find,
    random_place,
    row_asked,
)
from placevec.app.space import Selection, results_content, show_space, told_of_results
from placevec.app.texts import name_of, plain
from placevec.app.uploads import MAX_UPLOAD_MB, vector_of_upload
from placevec.embeddings.search.approximate import available
from placevec.errors import PlacevecError
from placevec.options.choices import Backend

if TYPE_CHECKING:
    import geopandas as gpd

KINDS = ("Name or ID", "Random place", "Coordinates", "Tile", "Point on the map", "Words", "Image")
_MOST = 100_000
_LISTED = 25
"""Results shown as pictures."""


def show(project: Project) -> None:
    """Ask, then show what was found."""
    before = _last(project)
    if before.at > st.session_state.get("clicked_at", 0):
        st.session_state["clicked_at"] = before.at
        if before.focus is not None and before.point is None:
            st.session_state.update(query_kind="Name or ID", query_place=before.focus)
    kind = st.sidebar.selectbox("Query by", KINDS, key="query_kind")
    query = _query(project, str(kind), before)
    with st.sidebar:
        metric = st.selectbox("Distance metric", list(METRICS), format_func=METRICS.__getitem__, key="metric")
        backend, trees, quality = _index(project)
        k = st.slider("Results", 5, 50, 10, key="k")
        many = st.number_input(
            "More results",
            0,
            min(_MOST, len(project.table)),
            0,
            100,
            key="many",
            help="0: use the number above",
        )
        apart = st.checkbox(
            "Leave out overlapping places",
            True,
            key="apart",
            help="Places that largely show the same area as a better result",
        )
    if query is None:
        show_space(project, "found", height=480, picks=kind == "Point on the map")
        return
    try:
        with st.spinner(f"Searching {len(project.table):,} places"):
            found = find(
                project,
                query,
                k=int(many or k),
                metric=metric,
                apart=bool(apart),
                backend=backend,
                trees=trees,
                quality=quality,
                progress=Bar(),
            )
    except PlacevecError as error:
        st.error(plain(str(error)))
        show_space(project, "found", height=480, picks=kind == "Point on the map")
        return
    _found(project, query, found, str(kind))


def _index(project: Project) -> tuple[Backend, int, int | None]:
    """The kind of index, the number of trees and the search quality."""
    kinds = [one for one in BACKENDS if available(one)]
    backend = st.selectbox(
        "Index", kinds, format_func=BACKENDS.__getitem__, key="backend", help="Exact is fast up to millions"
    )
    trees = st.slider("Trees", 10, 500, 100, 10, key="trees") if backend == "annoy" else 100
    if backend == "exact":
        return "exact", 100, None
    quality = st.number_input(
        "Search quality", -1, 1_000_000, -1, 100, key="quality", help="Candidates examined; -1: default"
    )
    return backend, int(trees), int(quality)


def _last(project: Project) -> Selection:
    """What was selected on the page of this screen when the script ran last."""
    from placevec.app.space import read_selection

    return read_selection(st.session_state.get("found"), project)


def _query(project: Project, kind: str, last: Selection) -> Query | None:
    """The query, or None while it is not complete."""
    side = st.sidebar
    if kind == "Name or ID":
        text = side.text_input(
            "Name or place ID", key="query_place", placeholder=str(project.table.place_id[0])
        )
        if not text:
            return None
        return Query({"place": text} if text in project.row_of else {"name": text}, label=text)
    if kind == "Random place":
        side.button(
            "Another place", key="another", on_click=lambda: st.session_state.pop("random_place", None)
        )
        place = st.session_state.setdefault("random_place", random_place(project))
        return Query({"place": place}, label=place)
    if kind == "Coordinates":
        lon0, lat0 = project.table.lonlat[0] if len(project.table) else (0.0, 0.0)
        lon = side.number_input(
            "Longitude, degrees", -180.0, 180.0, _number(lon0), 0.001, "%.5f", key="query_lon"
        )
        lat = side.number_input(
            "Latitude, degrees", -90.0, 90.0, _number(lat0), 0.001, "%.5f", key="query_lat"
        )
        return Query({"lon": lon, "lat": lat}, label=f"{lon:.5f}, {lat:.5f}")
    if kind == "Tile":
        zoom, x, y = (
            side.number_input(name, 0, most, None, key=f"tile_{name}") for name, most in _TILE.items()
        )
        return (
            None if None in (zoom, x, y) else Query({"tile": f"{zoom}/{x}/{y}"}, label=f"tile {zoom}/{x}/{y}")
        )
    if kind == "Point on the map":
        side.caption(
            "Click on the map: the point itself is embedded if the model can read it; otherwise the nearest place is "
            "used."
        )
        if last.point is not None:
            st.session_state["point"] = last.point
        point = st.session_state.get("point")
        return (
            None
            if point is None
            else Query({"lon": point[0], "lat": point[1]}, label="{:.5f}, {:.5f}".format(*point))
        )
    if kind == "Words":
        text = side.text_input("Words", key="query_words", placeholder="a park by the sea", max_chars=500)
        return Query({"text": text.strip()}, label=text.strip()) if text and text.strip() else None
    return _image(project)


_TILE = {"Zoom": 24, "x": 2**24, "y": 2**24}


def _image(project: Project) -> Query | None:
    from placevec.sources.imagery.single_image import FORMATS

    given = st.sidebar.file_uploader(
        "Tile or chip", [one.removeprefix(".") for one in FORMATS], key="query_image", max_upload_size=MAX_UPLOAD_MB,
        help="As the model reads its images: bands, pixels and values are checked",
    )  # fmt: skip
    if given is None:
        return None
    try:
        vector, remark = vector_of_upload(project, given.name, given.getvalue())
    except PlacevecError as error:
        st.error(plain(str(error)))
        return None
    return Query({}, vector, given.name, remark)


def _found(project: Project, query: Query, found: gpd.GeoDataFrame, kind: str) -> None:
    asked = row_asked(project, found)
    told = found.attrs["query"]
    measure = str(told["measure"])
    title = query.label if asked is None else name_of(project.table, asked)
    st.markdown(f"#### {len(found):,} places like {plain(title, 120)}")
    for note in found.attrs["notes"]:
        st.caption(plain(str(note)))
    if not len(found):
        st.info("No place was found: there are no others, or they all overlap the query.")
        return
    place = None if asked is None else str(project.table.place_id[asked])
    if told := told_of_results(len(found)):
        st.caption(told)
    show_space(
        project,
        "found",
        height=480,
        results=results_content(project, place, found, measure),
        picks=kind == "Point on the map",
    )
    rows = [project.row_of[str(one)] for one in found["place_id"]]
    listed, beside, table = st.tabs(["Results", "Compare", "Table"])
    with listed:
        shown = found.head(_LISTED)
        captions = [
            f"{rank}: {measure} {far:.4g}" for rank, far in zip(shown["rank"], shown[measure], strict=True)
        ]
        picture_grid(project, rows[:_LISTED], captions, "result")
        if len(found) > _LISTED:
            st.caption(f"and {len(found) - _LISTED:,} more in the table")
    with beside:
        _compare(project, asked, rows, found, measure, title)
    with table:
        st.dataframe(pd.DataFrame(found.drop(columns="geometry")), hide_index=True, key="results_table")
        save_buttons(project, found, "results")


def _compare(
    project: Project, asked: int | None, rows: list[int], found: gpd.GeoDataFrame, measure: str, title: str
) -> None:
    """The query and one result side by side."""
    rank = st.number_input("Result", 1, len(rows), 1, key="beside")
    row = rows[int(rank) - 1]
    left, right = st.columns(2)
    for column, one, name in ((left, asked, title), (right, row, name_of(project.table, row))):
        with column:
            st.markdown(f"**{plain(name)}**")
            picture = None if one is None else pictures_of(project, [one], 320)[0]
            if picture is not None:
                st.image(picture, width=320)
            if one is not None:
                lon, lat = project.table.lonlat[one]
                st.caption(f"{plain(project.table.place_id[one])} · {lon:.5f}, {lat:.5f}")
    if asked is None:
        st.caption(f"{measure}: {found[measure].iloc[int(rank) - 1]:.4g}")
        return
    facts: list[tuple[str, Any]] = [
        (name, f"{value:.4g}") for name, value in compared(project, asked, row).items()
    ]
    st.dataframe(pd.DataFrame(facts, columns=["measure", "value"]), hide_index=True, key="beside_numbers")
    shares = project.shares_at(np.array([asked, row]))
    if shares is not None:
        names, held = shares
        st.bar_chart(
            pd.DataFrame({"query": held[0], "result": held[1]}, index=list(names)),
            stack=False,
            horizontal=True,
            height=100 + 36 * len(names),
            x_label="share",
        )


def _number(value: float) -> float:
    return float(value) if value == value else 0.0
