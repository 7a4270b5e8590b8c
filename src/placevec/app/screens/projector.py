"""The projector: the embedding space by PCA, t-SNE or UMAP, in 2D or 3D, linked to the map."""

from __future__ import annotations

import streamlit as st

from placevec.app.elements import csv_of, go_to_place
from placevec.app.project import Project
from placevec.app.projections import position, table_of
from placevec.app.space import show_space, space_content
from placevec.app.texts import name_of, plain
from placevec.explorer.reductions import MIN_PLACES, NAMES


def show(project: Project) -> None:
    """Choose the algorithm and the dimensions; colors, previews and selections are on the page itself."""
    methods = [one for one, least in MIN_PLACES.items() if len(project.drawn) >= least]
    with st.sidebar:
        method = st.segmented_control(
            "Algorithm", methods, default="pca", format_func=NAMES.__getitem__, key="method"
        )
        dim = st.segmented_control("Dimensions", [2, 3], default=2, format_func="{}D".format, key="dim")
    reduction = position(project, method or "pca", dim or 2)
    selection = show_space(project, "projector", space=space_content(reduction), dim=dim or 2)
    left, right = st.columns([3, 1])
    with right:
        st.download_button(
            "Save projection (CSV)",
            lambda: csv_of(table_of(project, reduction)),
            "projection.csv",
            "text/csv",
            key="save_projection",
        )
    with left:
        if selection.focus is not None:
            st.markdown(f"**{plain(name_of(project.table, project.row_of[selection.focus]))}**")
            go_to_place(project, selection.focus, "projector")
        elif selection.selected:
            st.markdown(f"**{len(selection.selected):,} places selected**")
            for name, target in (("More like these", "more"), ("Less like these", "less")):
                if st.button(name, key=f"selected_{target}"):
                    st.session_state[target] = list(
                        dict.fromkeys([*st.session_state.get(target, []), *selection.selected])
                    )
                    st.session_state["go_to"] = "Sets"
                    st.rerun()
        else:
            st.caption(
                "Hover over a dot for its preview, click it for similar places, draw a box or lasso to select; "
                "color by layer, block, density or cluster on the right."
            )
