"""Preparing cells: a map, the points of interest in them, and aerial images of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from placevec.errors import UsageError
from placevec.options import option
from placevec.preparation.chips.aerial import AerialOptions
from placevec.preparation.options import MapOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress

_POIS = "Points of interest"


@dataclass(frozen=True)
class CellOptions(MapOptions, AerialOptions):
    """Cells with a map, points of interest and aerial images.

    Raises:
        UsageError: no source for a new dataset.
    """

    GROUP: ClassVar[str] = "Map"

    pois: Path | None = option(
        None, "Table of points of interest with coordinates (default: those of the extract)", group=_POIS
    )
    category: str | None = option(
        None, "Column of --pois with categories (default: category, type, class or kind)", group=_POIS
    )
    group: str | None = option(None, "Column of --pois with what categories are part of", group=_POIS)
    min_pois: int = option(
        5, "Minimum number of points of a category; fewer count as its group", group=_POIS, min=1
    )
    poi_size_m: float | None = option(
        None,
        "Side of the square of points around a place, meters (default: that of the place)",
        group=_POIS,
        above=0,
    )


def prepare(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset with a map and points of interest, or add them to one that is there."""
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.layout import MANIFEST
    from placevec.preparation import map as maps
    from placevec.preparation.chips.aerial import add_aerial
    from placevec.preparation.pois import add_pois, has_pois

    sources = (options.osm, options.osm_name, options.tiles, options.server_ip, options.tile_folder)
    if any(source is not None for source in sources) or options.mbtiles:
        dataset = maps.prepare(out, options, created=created, progress=progress)
    elif (out / MANIFEST).exists():
        dataset = Dataset.open(out)
    else:
        raise UsageError("a new dataset needs --osm FILE, --osm-name NAME or ready tiles")
    if options.aerial:
        dataset = add_aerial(dataset, options, created=created, progress=progress)
        if options.pois is None and not has_pois(dataset):
            return dataset
    return add_pois(
        dataset, table=options.pois, category=options.category, group=options.group, min_points=options.min_pois,
        size_m=options.poi_size_m, created=created, progress=progress,
    )  # fmt: skip
