"""The script that Streamlit runs for every browser: a choice of screens, and the chosen one."""

from __future__ import annotations

import streamlit as st

from placevec.app.project import current
from placevec.app.screens import SCREENS
from placevec.app.texts import plain
from placevec.errors import PlacevecError

# What a user set on a screen and finds again when coming back; Streamlit forgets what is not shown.
KEPT = (
    "method", "dim", "query_kind", "query_place", "query_words", "query_lon", "query_lat", "metric", "k", "many", "apart",
    "backend", "trees", "quality",
    "threshold", "gallery_text", "gallery_order", "gallery_size", "gallery_page", "place", "new_class",
)  # fmt: skip


def main() -> None:
    """Show one screen; an error that a user can fix is shown as text."""
    st.set_page_config(page_title="placevec", layout="wide")
    st.html("<style>.block-container { padding-top: 3.4rem; padding-bottom: 2rem; }</style>")
    try:
        project = current()
    except PlacevecError as error:
        st.error(plain(str(error)))
        return
    for key in KEPT:
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]
    wanted = st.session_state.pop("go_to", None)
    if wanted is not None:
        st.session_state["screen"] = wanted
    with st.sidebar:
        st.markdown(f"### {plain(project.title)}")
        st.caption(
            f"{len(project.table):,} places · {project.table.dim} dimensions · view {plain(project.table.view)}"
        )
        name = st.radio("Screen", list(SCREENS), key="screen", label_visibility="collapsed")
        st.divider()
    try:
        SCREENS[str(name)](project)
    except PlacevecError as error:
        st.error(plain(str(error)))
    with st.sidebar:
        for remark in project.remarks:
            st.caption(plain(remark[0].upper() + remark[1:]))
        st.caption(plain(project.drawn.attribution))


main()
