"""One place: its picture, every layer, its vector, and what is known of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from placevec.app.elements import go_to_place
from placevec.app.pictures import layers_of, pictures_of
from placevec.app.project import Project
from placevec.app.searching import random_place
from placevec.app.texts import name_of, plain


def show(project: Project) -> None:
    """Choose a place and show it."""
    with st.sidebar:
        st.button(
            "Random place",
            key="place_random",
            on_click=lambda: st.session_state.update(place=random_place(project)),
        )
        text = st.text_input("Place ID", key="place", placeholder=str(project.table.place_id[0]))
    place = text if text in project.row_of else str(project.table.place_id[0])
    if text and text not in project.row_of:
        st.warning(f"There is no place {plain(text, 60)}; {plain(place)} is shown instead.")
    row = project.row_of[place]
    table = project.table
    lon, lat = table.lonlat[row]
    st.markdown(f"#### {plain(name_of(table, row))}")
    go_to_place(project, place, "place")
    left, right = st.columns([1, 2])
    with left:
        picture = pictures_of(project, [row], 384)[0]
        if picture is not None:
            st.image(picture, width="stretch")
        else:
            st.info("No picture: the dataset was not found, or it has none of this place.")
        vector = table.vectors[row]
        facts = {
            "place_id": place,
            "lon, lat": f"{lon:.6f}, {lat:.6f}" if np.isfinite(lon) else "none",
            "view": table.view,
            "length of the vector": f"{np.linalg.norm(vector):.4g}",
            "smallest, largest value": f"{vector.min():.3g}, {vector.max():.3g}",
        }
        st.dataframe(pd.DataFrame(facts.items(), columns=["", "value"]), hide_index=True, key="place_facts")
    with right:
        layers = layers_of(project, row)
        if layers:
            st.markdown("**Layers**")
            for start in range(0, len(layers), 6):
                for column, (name, share, layer) in zip(
                    st.columns(6), layers[start : start + 6], strict=False
                ):
                    column.image(layer, width="stretch")
                    column.caption(f"{plain(name)}  \n{share:.1%}")
        st.markdown("**Vector**")
        st.bar_chart(pd.DataFrame({"value": vector}), height=180, y_label="")
