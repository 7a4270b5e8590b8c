"""Positions of the drawn places by PCA, t-SNE and UMAP, each computed once and shown with its progress."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pandas as pd
import streamlit as st

from placevec.app.project import Project
from placevec.explorer.reductions import NAMES, Method, Reduction
from placevec.io.progress import Advance


class Bar:
    """Progress as a bar of the screen, see `placevec.io.progress.Progress`.

    It has a place of its own at the side, so that what is shown stays while something is computed. When the user goes on
    to something else, the next step ends the computation.
    """

    def __init__(self) -> None:
        self.place = st.sidebar.empty()

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Show a bar while the context is open."""
        bar, done = self.place.progress(0.0, label), 0.0

        def advance(steps: float = 1, note: str | None = None) -> None:
            nonlocal done
            done += steps
            bar.progress(min(1.0, done / total) if total else 0.0, label if not note else f"{label}: {note}")

        yield advance
        self.place.empty()

    def say(self, message: str) -> None:
        """One line."""
        st.toast(message)


def position(project: Project, method: Method, dim: int) -> Reduction:
    """The drawn places in 2 or 3 dimensions: read from beside the table, or computed once and kept there.

    Raises:
        InputError: too few places for the method.
        MissingExtraError: umap-learn is not installed.
    """
    from placevec.explorer.precomputed import projection

    drawn, bar = project.drawn, Bar()
    return project.once(
        ("projection", method, dim),
        lambda: (
            projection(
                project.table, method, dim=dim, seed=drawn.seed, max_places=len(drawn), progress=bar
            ).reduction
        ),
    )


def table_of(project: Project, reduction: Reduction) -> pd.DataFrame:
    """place_id, name, lon, lat and the coordinates of every drawn place, for export."""
    drawn = project.drawn
    columns = {
        "place_id": drawn.place_id,
        "name": drawn.names,
        "lon": drawn.lonlat[:, 0],
        "lat": drawn.lonlat[:, 1],
    }
    name = NAMES[reduction.method].lower().replace("-", "")
    return pd.DataFrame(
        columns | {f"{name}_{n + 1}": column for n, column in enumerate(reduction.components.T)}
    )
