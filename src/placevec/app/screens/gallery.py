"""The gallery: pictures of all places, page by page, in several orders."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from placevec.app.elements import picture_grid
from placevec.app.project import Project

ORDERS = ("As in the table", "Random", "By name", "By cluster", "Most content first")
_SIZES = (20, 40, 80)


def show(project: Project) -> None:
    """A page of pictures."""
    with st.sidebar:
        wanted = st.text_input("Name or place ID contains", key="gallery_text")
        order = st.selectbox("Order", ORDERS, key="gallery_order")
        size = st.selectbox("Pictures per page", _SIZES, key="gallery_size")
    rows = ordered(project, str(order), wanted or "")
    pages = max(1, -(-len(rows) // int(size)))
    number = st.sidebar.number_input(f"Page, 1 to {pages:,}", 1, pages, 1, key="gallery_page")
    st.markdown(f"#### {len(rows):,} places")
    part = rows[(int(number) - 1) * int(size) : int(number) * int(size)]
    picture_grid(project, part.tolist(), [str(project.table.place_id[row]) for row in part], "gallery")


def ordered(project: Project, order: str, text: str = "") -> NDArray[np.int64]:
    """Rows of the table whose name or ID contains a text, in an order; clusters and content are known of drawn places."""
    table, drawn = project.table, project.drawn
    rows = np.arange(len(table))
    if order == "Random":
        rows = np.random.default_rng(drawn.seed).permutation(rows)
    elif order == "By name":
        rows = np.array(
            sorted(rows.tolist(), key=lambda row: (not table.names[row], str(table.names[row] or ""))),
            np.int64,
        )
    elif order == "By cluster":
        rows = drawn.rows[np.argsort(drawn.label[0], kind="stable")]
    elif order == "Most content first" and drawn.shares is not None:
        rows = drawn.rows[np.argsort(-np.nan_to_num(drawn.shares[1]).sum(axis=1), kind="stable")]
    wanted = text.strip().casefold()
    if not wanted:
        return rows
    kept = [
        wanted in str(table.names[row] or "").casefold() or wanted in str(table.place_id[row]).casefold()
        for row in rows
    ]
    return np.asarray(rows[np.array(kept, bool)], np.int64)
