"""Embedding spaces side by side on a page: the vectors of several tables or views of the same places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.explorer.coloring import Coloring, by_rgb, of_clusters
from placevec.explorer.embedded import base64_of
from placevec.explorer.pages.vectors import PackedVectors, pack_vectors
from placevec.explorer.reductions import COMPONENTS, MIN_PLACES, NAMES, Method, Reduction, rgb_of
from placevec.explorer.sample import Drawn

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings

MAX_PANELS = 6
_MAX_LABEL = 60
_GRAY = 160


@dataclass(frozen=True)
class Panel:
    """The vectors of one table or view.

    Attributes:
        label: its name on the page: raw, untrusted text.
        drawn: its vectors.
        at: (N,) for each place of the page its row in ``drawn``; -1 where it has no vector.
    """

    label: str
    drawn: Drawn
    at: NDArray[np.int64]

    @classmethod
    def first(cls, drawn: Drawn, label: str = "") -> Panel:
        """The vectors that choose the places of the page."""
        return cls(label[:_MAX_LABEL] or drawn.emb.view, drawn, np.arange(len(drawn)))

    @classmethod
    def beside(cls, first: Drawn, emb: Embeddings, label: str) -> Panel:
        """Other vectors of the same places, matched by ``place_id``; InputError if they have none in common."""
        row_of = {str(place): row for row, place in enumerate(emb.place_id)}
        rows = np.array([row_of.get(str(place), -1) for place in first.place_id])
        known = rows >= 0
        if not known.any():
            raise InputError(
                f"{label} has no place in common with the first table: side-by-side views are matched by place_id; use"
                " --dashboard for one page per table"
            )
        at = np.where(known, np.cumsum(known) - 1, -1)
        drawn = Drawn(
            emb, rows[known], first.dataset, clusters=first.clusters, window_m=first.window_m, seed=first.seed,
            progress=first.progress,
        )  # fmt: skip
        return cls(label[:_MAX_LABEL], drawn, at)

    def spaces(self, methods: Sequence[Method]) -> list[dict[str, Any]]:
        """The JSON of its projections, as far as there are places enough; the first component always."""
        found = []
        for method in dict.fromkeys(methods):
            if len(self.drawn) < MIN_PLACES[method]:
                self.drawn.progress.say(
                    f"Note: {NAMES[method]} is left out: it needs at least {MIN_PLACES[method]} places"
                )
                continue
            found.append(space_content(self.drawn.on_page(method), self.at))
        return found or [space_content(self.drawn.on_page("pca"), self.at)]

    def vectors(self, max_bytes: int) -> tuple[dict[str, Any], PackedVectors]:
        """The JSON of its vectors, and what they are made from."""
        packed = pack_vectors(self.drawn.vectors, max_bytes)
        content = {
            "bits": packed.bits, "dim": packed.values.shape[1], "values": base64_of(_spread(packed.values, self.at, 0)),
            "scale": base64_of(_spread(packed.scale, self.at, np.nan)),
            "length": base64_of(_spread(packed.length, self.at, np.nan)), "note": packed.note,
        }  # fmt: skip
        return content, packed

    def colorings(self, number: int) -> list[Coloring]:
        """By its clusters and by its three components, among those of other panels."""
        clusters, found = self.drawn.by_cluster.content, self.drawn.reduction("pca", COMPONENTS)
        label = _spread(self.drawn.label[0], self.at, -1)
        names = [kind["label"] for kind in clusters["categories"] if kind["color"] is not None]
        of = f"of {self.label}"
        grouped = of_clusters(label, f"Cluster {of}", clusters.get("note"), names)
        grouped.content["key"] = f"cluster-{number}"
        note = f"Places with similar colors have similar vectors {of}."
        rgb = _spread(rgb_of(found.components), self.at, _GRAY)
        mixed = by_rgb(f"rgb-{number}", f"{found.name} {of} as red, green, blue", rgb, found.axes, note)
        return [grouped, mixed]


def space_content(reduction: Reduction, at: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """The JSON of positions in 2 or 3 dimensions; NaN for places that have none (``at`` below 0)."""
    points = reduction.components if at is None else _spread(reduction.components, at, np.nan)
    explained = " + ".join(f"{share:.1%}" for share in reduction.explained)
    note = f"{explained} of variance explained" if explained else reduction.note
    return {
        "key": reduction.method, "label": reduction.name, "axes": reduction.axes, "note": f"{reduction.name}: {note}",
        "dims": points.shape[1], "values": base64_of(points),
    }  # fmt: skip


def _spread(values: NDArray[Any], at: NDArray[np.int64], missing: float) -> NDArray[Any]:
    """(N, ...) values of the places of the page, ``missing`` where they have none."""
    found = np.full((len(at), *values.shape[1:]), missing, values.dtype)
    found[at >= 0] = values[at[at >= 0]]
    return found
