"""Preparing cells: a map, the points of interest in them, and aerial images of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from placevec.errors import UsageError
from placevec.options import option
from placevec.preparation.chips.aerial_options import AerialOptions
from placevec.preparation.options import MapOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress

_POIS = "Points of interest"


@dataclass(frozen=True)
class CellOptions(MapOptions, AerialOptions):
    """Cells with a map, points of interest and aerial images.

    Raises:
        UsageError: options that do not go together.
    """

    GROUP: ClassVar[str] = "Map"

    pois: Path | None = option(
        None, "Table of points of interest with coordinates (default: those of the extract)", group=_POIS
    )
    category: str | None = option(
        None, "Column of --pois with categories (default: category, type, class or kind)", group=_POIS
    )
    group: str | None = option(None, "Column of --pois with the group of each category", group=_POIS)
    min_pois: int = option(
        5,
        "Minimum number of points of a category; categories with fewer are replaced by their group",
        group=_POIS,
        min=1,
    )
    poi_size_m: float | None = option(
        None,
        "Side of the square of points around a place, meters (default: that of the place)",
        group=_POIS,
        above=0,
    )

    h3: int | None = option(
        None,
        "Resolution of H3 cells of an area, as places of a new dataset without a map",
        group="Places",
        min=0,
        max=15,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.h3 is not None and _sources(self):
            raise UsageError(
                "--h3 makes cells without a map: prepare them first, then add a map with the same --out"
            )


def _sources(options: CellOptions) -> bool:
    """Whether there is something to draw or to read a map from."""
    named = (options.osm, options.osm_name, options.tiles, options.server_ip, options.tile_folder)
    return any(source is not None for source in named) or bool(options.mbtiles)


def _lays_out(options: CellOptions) -> bool:
    """Whether an option says what the cells are."""
    return any(one is not None for one in (options.places, options.spacing, options.h3, options.area()))


def prepare(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset with a map and points of interest, or add them to one that is there."""
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.layout import MANIFEST
    from placevec.preparation import map as maps
    from placevec.preparation.chips.aerial import add_aerial
    from placevec.preparation.new_cells import lay_out
    from placevec.preparation.pois import add_pois, has_pois

    if _sources(options):
        dataset = maps.prepare(out, options, created=created, progress=progress)
    elif (out / MANIFEST).exists() and not _lays_out(options):
        dataset = Dataset.open(out)
    else:
        dataset = lay_out(
            out, places=options.places, area=options.area(), spacing_m=options.spacing, zoom=options.zoom,
            h3=options.h3, size_m=options.size_m, created=created, progress=progress,
        )  # fmt: skip
    if options.aerial:
        dataset = add_aerial(dataset, options, created=created, progress=progress)
    if options.pois is None and not has_pois(dataset):
        if not options.aerial and not _lays_out(options):
            raise UsageError("nothing to add: give --pois TABLE, --aerial IMAGES, or an extract with --osm")
        return dataset
    return add_pois(
        dataset, table=options.pois, category=options.category, group=options.group, min_points=options.min_pois,
        size_m=options.poi_size_m, created=created, progress=progress,
    )  # fmt: skip
