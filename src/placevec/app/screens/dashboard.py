"""Statistics of the vectors, the clusters and the layers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from placevec.app.project import Project
from placevec.app.statistics import measure
from placevec.app.texts import plain


def show(project: Project) -> None:
    """Numbers and charts."""
    found = project.once("statistics", lambda: measure(project))
    st.markdown("#### Statistics")
    tiles = list(found.facts.items())
    for column, (name, value) in zip(st.columns(4), [tiles[0], tiles[4], tiles[5], tiles[2]], strict=True):
        column.metric(name, plain(value))
    left, right = st.columns(2)
    with left:
        st.dataframe(pd.DataFrame(tiles, columns=["", "value"]), hide_index=True, key="facts")
        st.markdown("**Variance explained by principal components**")
        share = pd.DataFrame({"each": found.explained[:20], "together": np.cumsum(found.explained)[:20]})
        st.line_chart(share.set_axis(range(1, len(share) + 1)), height=220, x_label="component")
        st.markdown("**Lengths of vectors**")
        heights, edges = np.histogram(found.lengths, bins=30)
        st.bar_chart(
            pd.DataFrame({"places": heights}, index=np.round(edges[:-1], 3)), height=180, x_label="length"
        )
    with right:
        st.markdown("**Clusters**")
        st.dataframe(found.clusters, hide_index=True, key="clusters")
        if found.layers:
            st.markdown("**Layers: mean share of what the model reads**")
            st.bar_chart(
                pd.DataFrame({"share": found.layers}), height=60 + 24 * len(found.layers), horizontal=True
            )
            st.markdown("**Content density: layers covering a point on average**")
            heights, edges = np.histogram(found.density, bins=30)
            st.bar_chart(
                pd.DataFrame({"places": heights}, index=np.round(edges[:-1], 2)), height=180, x_label="layers"
            )
