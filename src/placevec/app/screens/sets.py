"""Sets: places like several examples and unlike others, as many as reach a threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from placevec.app.elements import picture_grid, save_buttons
from placevec.app.project import Project
from placevec.app.sets import above, scores
from placevec.app.space import (
    Selection,
    colorings_content,
    read_selection,
    results_content,
    show_space,
    told_of_results,
)
from placevec.app.texts import name_of, plain
from placevec.explorer.coloring import by_number

_LISTED = 20
"""Results shown as pictures."""


def show(project: Project) -> None:
    """Examples of both kinds, the threshold, and all places above it."""
    last = read_selection(st.session_state.get("set_space"), project)
    with st.sidebar:
        chosen = list(last.selected) or ([last.focus] if last.focus else [])
        st.caption(f"{len(chosen):,} selected on the page: click a place, or draw a box or lasso")
        for name, key in (("More like these", "more"), ("Less like these", "less")):
            st.button(
                name,
                on_click=_add,
                args=(key, chosen),
                disabled=not chosen,
                key=f"add_{key}",
                width="stretch",
            )
        for key, title in (("more", "More like"), ("less", "Less like")):
            st.text_input(
                f"{title}: name or place ID", key=f"{key}_text", on_change=_add_text, args=(project, key)
            )
            _examples(project, key, title)
    more, less = (_rows(project, key) for key in ("more", "less"))
    if not more:
        st.markdown("#### Places like some examples and unlike others")
        st.caption("Select examples on the page, or type them on the left.")
        show_space(project, "set_space", height=560)
        return
    score = scores(
        project.table, *([str(one) for one in project.table.place_id[rows]] for rows in (more, less))
    )
    threshold = st.sidebar.slider(
        "Threshold", -1.0, 1.0, 0.8, 0.01, key="threshold", help="Cosine similarity to the examples"
    )
    found = above(project, score, float(threshold), [*more, *less])
    st.markdown(f"#### {len(found):,} places with a score of at least {threshold:.2f}")
    _shown(project, score, found)


def _shown(project: Project, score: np.ndarray, found: pd.DataFrame) -> Selection:
    drawn = project.drawn
    note = "Cosine similarity to the mean of the examples, moved away from the examples to avoid."
    coloring = by_number("score", "Score of the set", score[drawn.rows], note=note)
    if told := told_of_results(len(found)):
        st.caption(told)
    selection = show_space(
        project, "set_space", height=480, colorings=colorings_content([coloring]),
        results=results_content(project, None, found, "score"),
    )  # fmt: skip
    pictures, counts, table = st.tabs(["Places", "Scores", "Table"])
    with pictures:
        rows = [project.row_of[str(one)] for one in found["place_id"].head(_LISTED)]
        picture_grid(project, rows, [f"{value:.3f}" for value in found["score"].head(_LISTED)], "set")
    with counts:
        heights, edges = np.histogram(score, bins=50, range=(-1.0, 1.0))
        st.bar_chart(
            pd.DataFrame({"places": heights}, index=np.round(edges[:-1], 2)), x_label="score", height=240
        )
    with table:
        st.dataframe(pd.DataFrame(found.drop(columns="geometry")), hide_index=True, key="set_table")
        save_buttons(project, found, "set")
    return selection


def _rows(project: Project, key: str) -> list[int]:
    return [project.row_of[one] for one in st.session_state.get(key, []) if one in project.row_of]


def _add(key: str, places: list[str]) -> None:
    st.session_state[key] = list(dict.fromkeys([*st.session_state.get(key, []), *places]))


def _add_text(project: Project, key: str) -> None:
    from placevec.embeddings.labels import places_named
    from placevec.errors import InputError

    text = str(st.session_state.get(f"{key}_text", "")).strip()
    if not text:
        return
    try:
        place = (
            text
            if text in project.row_of
            else str(project.table.place_id[places_named(project.table, text).row])
        )
    except InputError as error:
        st.toast(plain(str(error)))
        return
    _add(key, [place])
    st.session_state[f"{key}_text"] = ""


def _examples(project: Project, key: str, title: str) -> None:
    places = st.session_state.get(key, [])
    if not places:
        return
    names = {one: name_of(project.table, project.row_of[one]) for one in places if one in project.row_of}
    st.multiselect(
        f"{title} {len(names)}", list(names), list(names), format_func=names.__getitem__, key=f"{key}_kept_{len(places)}",
        on_change=lambda: st.session_state.update({key: st.session_state[f"{key}_kept_{len(places)}"]}),
    )  # fmt: skip
