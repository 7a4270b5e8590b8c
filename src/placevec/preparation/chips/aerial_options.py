"""The options of aerial images: which files and bands, how large a chip is, and what becomes of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of

Values = Literal["auto", "stored", "scaled"]
MAX_PX = 2048


@dataclass(frozen=True)
class AerialOptions(Options):
    """Images that are cut into a chip for each place.

    Raises:
        UsageError: an option without images, two sources of them, or bands that are no numbers.
    """

    GROUP: ClassVar[str] = "Aerial images"

    aerial: tuple[Path, ...] = option(
        (), "Georeferenced images (GeoTIFF, COG, VRT, JPEG 2000), or folders of them (may be repeated)"
    )
    aerial_tiles: str | None = option(
        None,
        "Imagery as map tiles, instead of --aerial: address of a server with {z}, {x} and {y}, a folder of tiles, or an"
        " MBTiles file",
    )
    aerial_zoom: int | None = option(
        None,
        "Zoom of --aerial-tiles (default: for a folder, the only one it has; for a server, the lowest whose pixels are "
        "at least as fine as the chips')",
        min=0,
        max=22,
    )
    aerial_bands: tuple[str, ...] = option(
        (), "Numbers of the bands, from 1, separated by commas (default: all but alpha)"
    )
    aerial_px: int = option(224, "Side of a chip, pixels", min=32, max=MAX_PX)
    aerial_size_m: float | None = option(
        None, "Side of a chip, meters (default: the side of the place)", above=0
    )
    aerial_values: Values = option(
        "auto",
        "Pixel values of chips (stored: as in the images; scaled: percentiles 1 to 99 of each band "
        "become 0 to 255; auto: stored for 8-bit images, otherwise scaled)",
    )
    aerial_max_nodata: float = option(
        0.25, "Maximum share of a chip without data; places above it get no chip", min=0, below=1
    )
    aerial_mask: bool = option(False, "Mask out pixels outside the place's polygon (they become nodata)")
    aerial_attribution: str = option("", "Attribution that the images require")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.band_numbers()
        if self.aerial and self.aerial_tiles is not None:
            raise UsageError("give images with either --aerial or --aerial-tiles, not both")
        if self.aerial_zoom is not None and self.aerial_tiles is None:
            raise UsageError("--aerial-zoom applies to map tiles: it needs --aerial-tiles")
        if self.has_images:
            return
        for one in options_of(AerialOptions):
            if one.name != "aerial_attribution" and getattr(self, one.name) != one.default:
                raise UsageError(
                    f"{flag_of(one.name)} applies to aerial images: it needs --aerial or --aerial-tiles"
                )

    @property
    def has_images(self) -> bool:
        """Whether images are given."""
        return bool(self.aerial) or self.aerial_tiles is not None

    def band_numbers(self) -> tuple[int, ...]:
        """The bands to read, from 1; none for all. UsageError for other words."""
        if wrong := [word for word in self.aerial_bands if not word.isdecimal() or int(word) < 1]:
            raise UsageError(f"--aerial-bands must be numbers from 1, such as 1,2,3; got {wrong[0]!r}")
        return tuple(map(int, self.aerial_bands))
