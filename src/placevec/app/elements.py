"""Small parts that several screens share: links between screens, rows of pictures, downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from placevec.app.pictures import pictures_of
from placevec.app.project import Project
from placevec.app.searching import EXPORTS, exported
from placevec.app.texts import name_of, plain

if TYPE_CHECKING:
    import geopandas as gpd


def go_to_place(project: Project, place: str, key: str) -> None:
    """Buttons from a place to the other screens; ``key`` names the screen that they are on."""
    others = {
        "Find similar": "search", "Open": "place", "More like this": "more", "Less like this": "less",
    }  # fmt: skip
    others = {name: act for name, act in others.items() if act != key}
    for column, (name, act) in zip(st.columns(len(others)), others.items(), strict=True):
        column.button(name, key=f"{key}_{act}_{place}", on_click=_go, args=(act, place), width="stretch")


def _go(act: str, place: str) -> None:
    state = st.session_state
    if act == "search":
        state["query_kind"], state["query_place"], state["go_to"] = "Name or ID", place, "Similarity search"
    elif act == "place":
        state["place"], state["go_to"] = place, "Place"
    else:
        state[act] = list(dict.fromkeys([*state.get(act, []), place]))
        state["go_to"] = "Sets"


def picture_grid(
    project: Project, rows: Sequence[int], captions: Sequence[str], key: str, across: int = 5
) -> None:
    """Pictures of places with a caption, and buttons to go on from each; a name alone where there is no picture."""
    pictures = pictures_of(project, rows)
    for start in range(0, len(rows), across):
        columns = st.columns(across)
        part = slice(start, start + across)
        for column, row, caption, picture in zip(
            columns, rows[part], captions[part], pictures[part], strict=False
        ):
            place = str(project.table.place_id[row])
            with column:
                if picture is not None:
                    st.image(picture, width="stretch")
                st.caption(f"**{plain(name_of(project.table, row), 40)}**  \n{plain(caption)}")
                first, second = st.columns(2)
                first.button(
                    "Similar", key=f"{key}_s_{row}", on_click=_go, args=("search", place), width="stretch"
                )
                second.button(
                    "Open", key=f"{key}_o_{row}", on_click=_go, args=("place", place), width="stretch"
                )


def save_buttons(project: Project, found: gpd.GeoDataFrame, name: str) -> None:
    """Buttons that save places in every format, which are written only when asked for."""
    for column, kind in zip(st.columns(len(EXPORTS)), EXPORTS, strict=True):
        column.download_button(
            f"Save {kind}",
            partial(exported, found, kind, project.drawn.attribution),
            f"{name}.{kind}",
            key=f"{name}_{kind}",
        )


def csv_of(frame: pd.DataFrame) -> bytes:
    """A table as CSV whose texts cannot act as formulas.

    >>> csv_of(pd.DataFrame({"name": ["=1+1"], "lon": [24.5]}))
    b"name,lon\\r\\n'=1+1,24.5\\r\\n"
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_safe(str(name)) for name in frame.columns])
    writer.writerows([[_safe(value) for value in row] for row in frame.itertuples(index=False)])
    return file.getvalue().encode("utf-8", "surrogatepass")


def _safe(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None or value != value else value
