"""Numbers about the vectors and the places, for the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.app.project import Project
from placevec.io.progress import printable
from placevec.metrics import effective_rank

SAMPLE = 5_000
"""Places that the spectrum is measured on; of more, evenly spaced ones."""


@dataclass(frozen=True)
class Statistics:
    """What the dashboard shows.

    Attributes:
        facts: name -> value, as text.
        explained: share of variance of each principal component, largest first.
        lengths: lengths of the vectors of the sample.
        clusters: one row a cluster: number, places, name, medoid.
        layers: layer -> mean share of what the model reads, or empty.
        density: number of layers covering a point on average, of each drawn place, or empty.
    """

    facts: dict[str, str]
    explained: NDArray[np.float64]
    lengths: NDArray[np.float64]
    clusters: pd.DataFrame
    layers: dict[str, float]
    density: NDArray[np.float64]


def measure(project: Project) -> Statistics:
    """Measure everything once; a table of one place, or of equal vectors, has a rank of 0."""
    table, drawn = project.table, project.drawn
    some = np.linspace(0, len(table) - 1, min(len(table), SAMPLE)).astype(np.int64)
    vectors = table.vectors[some].astype(np.float64)
    centered = vectors - vectors.mean(axis=0)
    values = np.linalg.svd(centered, compute_uv=False) ** 2
    total = float(values.sum())
    explained = values / total if total > 0 else np.zeros(len(values))
    distinct = len(np.unique(table.vectors[some], axis=0))
    label, how = drawn.label
    made = table.provenance
    lonlat = np.asarray(table.lonlat)
    facts = {
        "Places": f"{len(table):,}",
        "Drawn": drawn.extent,
        "Without coordinates": f"{int((~np.isfinite(lonlat).all(axis=1)).sum()):,}",
        "Without a name": f"{int(sum(name is None for name in table.names)):,}",
        "Dimensions": f"{table.dim}",
        "Effective rank": f"{effective_rank(vectors):.1f}" if total > 0 else "0",
        "Distinct vectors": f"{distinct:,} of {len(some):,} checked",
        "View": table.view,
        "Model": made.model_hash[:12],
        "Dataset": made.dataset_hash[:12],
        "Created": made.created[:10],
        "Clusters": how,
    }
    shares = drawn.shares
    layers: dict[str, float] = {}
    density = np.zeros(0)
    if shares is not None:
        names, held = shares
        layers = dict(zip(names, np.nan_to_num(np.nanmean(held, axis=0)).tolist(), strict=True))
        density = np.nan_to_num(held).sum(axis=1).astype(np.float64)
    return Statistics(
        facts, explained, np.linalg.norm(vectors, axis=1), _clusters(project, label), layers, density
    )


def _clusters(project: Project, label: NDArray[np.int64]) -> pd.DataFrame:
    """As the legend of the page names them, with the number of places and the place in the middle."""
    drawn = project.drawn
    numbers, places = np.unique(label[label >= 0], return_counts=True)
    names = [one["label"] for one in drawn.by_cluster.content["categories"]][: len(numbers)]
    return pd.DataFrame(
        {
            "cluster": numbers,
            "places": places,
            "name": [printable(one) for one in names],
            "medoid": [str(one) for one in drawn.place_id[drawn.medoid]],
        }
    )
