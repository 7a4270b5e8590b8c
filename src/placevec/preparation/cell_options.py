"""The options of preparing cells: places, a map, points of interest and aerial images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from placevec.errors import UsageError
from placevec.options import option
from placevec.preparation.chips.aerial_options import AerialOptions
from placevec.preparation.options import MapOptions
from placevec.preparation.poi_options import PoiOptions


@dataclass(frozen=True)
class CellOptions(PoiOptions, MapOptions, AerialOptions):
    """Cells with a map, points of interest and aerial images.

    Raises:
        UsageError: options that do not go together.
    """

    GROUP: ClassVar[str] = "Map"

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
            self.draws or self.lays_out or self.has_images or self.pois is not None
        ):
            raise UsageError("--chip-folder has its own cells, images and points: do not give others")
        if self.h3 is not None and self.draws:
            raise UsageError(
                "--h3 creates cells without a map: prepare them first, then add a map with the same --out"
            )

    @property
    def draws(self) -> bool:
        """Whether there is something to draw or to read a map from."""
        named = (self.osm, self.osm_name, self.tiles, self.server_ip, self.tile_folder)
        return any(source is not None for source in named) or bool(self.mbtiles)

    @property
    def lays_out(self) -> bool:
        """Whether an option says what the cells are."""
        return any(one is not None for one in (self.places, self.spacing, self.h3, self.area()))
