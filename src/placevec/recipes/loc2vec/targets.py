"""What each place contains, from 0 to 1, as targets for an encoder that sees only a part of the map.

Targets are layers that the encoder does not see, land use, and the presence of tags. They are never an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.views.pois import points_inside, read_pois
from placevec.datasets.views.raster.coverage import Coverage
from placevec.errors import DatasetError
from placevec.geo import Floats

MAX_TAGS = 128
MIN_PLACES = 20
"""Minimum number of places with a tag to learn it."""


@dataclass(frozen=True)
class PlacesOf:
    """Directory of a dataset, and (N, 4) footprints of places, x0, y0, x1, y1 in fractional tiles at ``zoom``."""

    path: Path
    footprints: Floats
    zoom: int


@dataclass(frozen=True)
class Contents:
    """Shares (N, T) float32 in 0..1 by name; NaN if unknown."""

    names: tuple[str, ...]
    shares: NDArray[np.float32]

    def mean(self) -> NDArray[np.float64]:
        """(T,) mean of the known shares."""
        return np.asarray(np.nanmean(self.shares.astype(np.float64), axis=0))


def layer_contents(datasets: Sequence[PlacesOf], layers: Sequence[str]) -> Contents:
    """The share of every footprint covered by each of these layers."""
    parts = []
    for dataset in datasets:
        coverage = Coverage(dataset.path / "map_coverage.tif")
        chosen = [coverage.channels.index(layer) for layer in layers]
        parts.append(coverage.fractions(dataset.footprints, dataset.zoom)[:, chosen])
    return Contents(tuple(f"layer {layer}" for layer in layers), np.concatenate(parts))


def landuse_contents(datasets: Sequence[PlacesOf]) -> Contents:
    """The share of every footprint by land use; unknown if an extract has no land use at all."""
    parts: list[NDArray[np.float32]] = []
    names: tuple[str, ...] = ()
    for dataset in datasets:
        file = dataset.path / "landuse_coverage.tif"
        if not file.exists():
            raise DatasetError(f"{dataset.path} has no {file.name}: prepare it from an OSM extract")
        coverage = Coverage(file)
        names = coverage.channels
        shares = np.minimum(coverage.fractions(dataset.footprints, dataset.zoom), 1.0)
        # routing extracts have no land use: its absence in the drawing means nothing
        mapped = (shares.sum(axis=1) > 0).mean() > 0.05
        parts.append(shares if mapped else np.full_like(shares, np.nan))
    return Contents(tuple(f"land use {name}" for name in names), np.concatenate(parts))


def tag_contents(datasets: Sequence[PlacesOf]) -> Contents:
    """1 if the footprint contains a point of interest with this ``key=value``; the `MAX_TAGS` most frequent tags."""
    held = [_tags_of(dataset) for dataset in datasets]
    places = pd.concat(held)["tag"].value_counts() if held else pd.Series(dtype=np.int64)
    places = places[places >= MIN_PLACES]
    # ties by name, so that the same data give the same targets
    order = sorted(places.index, key=lambda tag: (-int(places[tag]), str(tag)))[:MAX_TAGS]
    number = {tag: column for column, tag in enumerate(order)}
    parts = []
    for dataset, found in zip(datasets, held, strict=True):
        shares = np.zeros((len(dataset.footprints), len(order)), np.float32)
        column = found["tag"].map(number)
        known = column.notna().to_numpy()
        shares[found["place"].to_numpy()[known], column[known].astype(np.int64).to_numpy()] = 1.0
        parts.append(shares)
    return Contents(tuple(map(str, order)), np.concatenate(parts))


def _tags_of(dataset: PlacesOf) -> pd.DataFrame:
    """place (row) and tag (``key=value``) of everything in the footprints, every pair once."""
    pois = read_pois(dataset.path / "pois.parquet")
    places, points = points_inside(pois, dataset.footprints, dataset.zoom)
    tag = pois["key"].astype(str) + "=" + pois["value"].astype(str)
    return pd.DataFrame({"place": places, "tag": tag.to_numpy(object)[points]}).drop_duplicates()
