"""Preparing cells: a map, the points of interest in them, and aerial images of them."""

from __future__ import annotations

import shutil
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
        None, "Table of points of interest with coordinates (default: the points of the extract)", group=_POIS
    )
    category: str | None = option(
        None, "Column of --pois with categories (default: category, type, class or kind)", group=_POIS
    )
    group: str | None = option(None, "Column of --pois with the groups of categories", group=_POIS)
    poi_groups: str = option(
        "topics",
        "Groups of categories (topics: food, shops, ..., or the groups of --group; keys: OpenStreetMap keys such as "
        "amenity and shop; or a TOML file with a list of categories for each group)",
        group=_POIS,
    )
    min_pois: int = option(
        5,
        "Minimum number of points per category; rarer categories are replaced by their group",
        group=_POIS,
        min=1,
    )
    poi_size_m: float | None = option(
        None,
        "Side of the square around a place within which points are counted, meters (default: the place's polygon, or "
        "else its size)",
        group=_POIS,
        above=0,
    )

    size_m: float | None = option(
        None,
        "Side of a place, meters (default: for polygons and H3 cells, the side of a square with their mean area; for "
        "--spacing without a map, the spacing; otherwise 200)",
        group="Places",
        above=0,
    )
    chip_folder: Path | None = option(
        None,
        "Folder in the layout of the original MMGR, whose cells have no coordinates: NAME_img/ID.png or .jpg, "
        "NAME_emb/ID.tensor,"
        " NAME_edge/ID.tensor",
        group=AerialOptions.GROUP,
    )
    h3: int | None = option(
        None,
        "Resolution of the H3 cells of the area, which become the places of a new dataset without a map",
        group="Places",
        min=0,
        max=15,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chip_folder is not None and (
            _sources(self) or _lays_out(self) or self.has_images or self.pois is not None
        ):
            raise UsageError("--chip-folder has its own cells, images and points: do not give others")
        if self.h3 is not None and _sources(self):
            raise UsageError(
                "--h3 creates cells without a map: prepare them first, then add a map with the same --out"
            )


def _sources(options: CellOptions) -> bool:
    """Whether there is something to draw or to read a map from."""
    named = (options.osm, options.osm_name, options.tiles, options.server_ip, options.tile_folder)
    return any(source is not None for source in named) or bool(options.mbtiles)


def _lays_out(options: CellOptions) -> bool:
    """Whether an option says what the cells are."""
    return any(one is not None for one in (options.places, options.spacing, options.h3, options.area()))


def prepare(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset with a map, points of interest and aerial images, or add them to one that is there.

    A first command that fails leaves no places behind, unless a view of them is done.
    """
    from placevec.datasets.layout import MANIFEST
    from placevec.errors import DatasetError, InputError

    is_new = not (out / MANIFEST).exists()
    try:
        return _prepared(out, options, created=created, progress=progress)
    except (InputError, DatasetError):
        if is_new and (out / MANIFEST).exists():
            _forget_places(out, progress)
        raise


def _prepared(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.layout import MANIFEST
    from placevec.preparation import map as maps
    from placevec.preparation.chips.aerial import add_aerial
    from placevec.preparation.new_cells import lay_out
    from placevec.preparation.pois import add_pois, check_table, has_pois

    if options.chip_folder is not None:
        from placevec.preparation.chips import chip_folder

        return chip_folder.prepare(
            out,
            options.chip_folder,
            attribution=options.aerial_attribution,
            created=created,
            progress=progress,
        )
    if options.pois is not None:
        check_table(options.pois, options.category, options.group)
    is_new, draws = not (out / MANIFEST).exists(), _sources(options)
    if (_lays_out(options) and not draws) or (is_new and (options.places is not None or not draws)):
        lay_out(out, options, draws=draws, created=created, progress=progress)
    dataset = maps.prepare(out, options, created=created, progress=progress) if draws else Dataset.open(out)
    has_points = options.pois is not None or has_pois(dataset)
    if not has_points and not options.has_images and not _lays_out(options):
        raise UsageError(
            "nothing to add: give --pois TABLE, --aerial IMAGES, --aerial-tiles, or an extract with --osm"
        )
    if has_points:
        dataset = add_pois(dataset, options, created=created, progress=progress)
    return add_aerial(dataset, options, created=created, progress=progress) if options.has_images else dataset


def _forget_places(out: Path, progress: Progress) -> None:
    """Remove a dataset of places alone; say that one with views stays."""
    from placevec.datasets.dataset import Dataset

    views = Dataset.open(out).manifest["views"]
    if views:
        progress.say(
            f"Note: {out} keeps what is finished ({', '.join(views)}): the corrected command adds the rest"
        )
        return
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.rmdir()
