"""Checks of the data in the demo: contents of each layer, and a batch as training sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


def layers_held(dataset: Dataset) -> dict[str, int]:
    """Layer -> number of places whose footprint it touches."""
    from placevec.datasets.views.raster.coverage import Coverage
    from placevec.preparation.osm import MAP_COVERAGE

    coverage = Coverage(dataset.path / MAP_COVERAGE)
    known = np.isfinite(dataset.lonlat).all(axis=1)
    shares = coverage.fractions(dataset.footprints()[known], dataset.zoom)
    return {
        layer: int(count) for layer, count in zip(coverage.channels, (shares > 0).sum(axis=0), strict=True)
    }


def first_batch(dataset: Dataset, training: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per slot of the first training batch: its shape and contents."""
    from placevec.recipes import DEMO, recipe

    entry = recipe(DEMO)
    given = {name: value for name, value in training.items() if name != "preset"}
    built = entry.built(dataset, *entry.configure(training.get("preset", "default"), given))
    draw = built.recipe.sampler.draw(0, 0, 1)
    rows = []
    for name, look in draw.looks.items():
        pixels = np.asarray(built.views[built.recipe.slots[name].view].read(look))
        rows.append({
            "slot": name,
            "shape": list(pixels.shape),
            "type": str(pixels.dtype),
            "drawn_on": float((pixels > 0).mean()),
            "finite": bool(np.isfinite(pixels).all()),
        })  # fmt: skip
    return rows
