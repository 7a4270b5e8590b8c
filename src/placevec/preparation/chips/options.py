"""The options of chips of satellites: which scenes, which pixels, and how clear they must be."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of

CloudModel = Literal["auto", "ukis-csmask", "none"]
BoaOffset = Literal["auto", "remove", "none"]
MAX_SIDE_M = 100_000.0
"""Maximum side of a chip; a tile of Sentinel-2 has 109,800 m."""
_STAC = "STAC catalog"


def read_sources(value: Any) -> tuple[str, ...]:
    """Addresses and paths as texts; one alone is a list of one, whatever commas it has.

    >>> read_sources(Path("scenes")), read_sources(("a.SAFE", "b.SAFE"))
    (('scenes',), ('a.SAFE', 'b.SAFE'))
    """
    given = [value] if isinstance(value, str | os.PathLike) else list(value or ())
    if not all(isinstance(one, str | os.PathLike) and os.fspath(one) for one in given):
        raise UsageError(f"--satellite must be addresses or paths; got {repr(value)[:60]}")
    return tuple(str(os.fspath(one)) for one in given)


@dataclass(frozen=True)
class SatelliteOptions(Options):
    """Chips out of scenes of Sentinel-2.

    Raises:
        UsageError: options that do not go together, or bands or dates that are none.
    """

    GROUP: ClassVar[str] = "Satellite"

    satellite: tuple[str, ...] = option(
        (),
        "Sentinel-2 scenes: address or file of a STAC catalog, SAFE folders, GeoTIFFs, or folders of them (may be"
        " repeated)",
        read=read_sources,
    )
    bands: str = option(
        "B02,B03,B04,B08",
        "Bands to read: names separated by commas, or rgb, l2a or l1c; with --images, the bands "
        "that the files hold",
    )
    chip_px: int = option(100, "Side of a chip, pixels", min=8, max=2048)
    pixel_m: float = option(10.0, "Side of a pixel, meters", min=1, max=1000)
    max_chips: int = option(
        1, "Maximum number of chips per place, each from a different date", min=1, max=100
    )
    dates: str | None = option(
        None, "First and last date, such as 2022-01-01/2024-12-31 (default: all)", group=_STAC
    )
    collection: str = option("sentinel-2-l2a", "Collection of a STAC API", group=_STAC)
    sign: str | None = option(
        None,
        "Address of a service that signs file URLs: it is called with ?href=FILE and returns JSON with href "
        "(default: Planetary Computer's own service, for its catalog)",
        group=_STAC,
    )
    max_cloud: float = option(20.0, "Maximum cloud cover of a scene, percent", min=0, max=100, group=_STAC)
    max_chip_cloud: float = option(
        0.1, "Maximum share of a chip covered by clouds and their shadows", min=0, max=1
    )
    max_nodata: float = option(0.05, "Maximum share of a chip without data", min=0, below=1)
    cloud_model: CloudModel = option(
        "auto", "Cloud model for scenes without a scene classification (auto: ukis-csmask if it is installed)"
    )
    boa_offset: BoaOffset = option(
        "auto",
        "Offset of processing baseline 04.00 (auto: removed if present; remove: from all scenes; none: never)",
    )
    connections: int = option(4, "Connections to a server, and files read at the same time", min=1, max=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.satellite:
            for one in options_of(SatelliteOptions):
                if one.name not in ("satellite", "bands") and getattr(self, one.name) != one.default:
                    raise UsageError(f"{flag_of(one.name)} applies to satellite chips: it needs --satellite")
            return
        if len(self.satellite) > 1 and any(is_catalog(text) for text in self.satellite):
            raise UsageError(
                "give one STAC catalog, or any number of files and folders with --satellite, not both"
            )
        if self.sign is not None and self.catalog is None:
            raise UsageError("--sign applies to files of a STAC catalog: give its address with --satellite")
        self.band_names()
        self.interval()
        if self.chip_px * self.pixel_m > MAX_SIDE_M:
            raise UsageError(
                f"a chip of {self.chip_px} px with a side of {self.pixel_m:g} m each is wider than "
                f"{MAX_SIDE_M / 1000:g} km: set a "
                "smaller --chip-px or --pixel-m"
            )

    def band_names(self) -> tuple[str, ...]:
        """The bands to read; UsageError for names that Sentinel-2 does not have."""
        from placevec.sources.imagery.chips import named_bands
        from placevec.sources.imagery.scenes import band_named

        given = named_bands(self.bands)
        found = [band_named(text) for text in given]
        if None in found or len(set(found)) < len(found):
            wrong = next((text for text, band in zip(given, found, strict=True) if band is None), self.bands)
            raise UsageError(
                f"--bands: Sentinel-2 has no band {wrong!r}; write names such as B02,B03,B04,B08"
            )
        return tuple(band for band in found if band is not None)

    def interval(self) -> tuple[str | None, str | None]:
        """(first, last) date in ISO 8601; UsageError if it is none."""
        if self.dates is None:
            return None, None
        first, slash, last = self.dates.strip().partition("/")
        try:
            days = [datetime.date.fromisoformat(text) for text in (first, last if slash else first)]
        except ValueError:
            days = []
        if not days or days[0] > days[1]:
            raise UsageError(f"--dates must look like 2022-01-01/2024-12-31; got {self.dates!r}")
        return days[0].isoformat(), days[1].isoformat()

    @property
    def catalog(self) -> str | None:
        """The address or file of a STAC catalog, if one was given."""
        return self.satellite[0] if self.satellite and is_catalog(self.satellite[0]) else None

    @property
    def signer(self) -> str | None:
        """The address that signs those of files, if they need it."""
        from placevec.sources.imagery.signing import signer_of

        return self.sign or (None if self.catalog is None else signer_of(self.catalog))

    @property
    def forced_offset(self) -> int | None:
        """What to add to all stored numbers; None to decide for each scene."""
        from placevec.sources.imagery.boa_offset import OFFSET

        return {"auto": None, "remove": -OFFSET, "none": 0}[self.boa_offset]


def is_catalog(text: str) -> bool:
    """Whether it names a STAC catalog, not files of scenes.

    >>> is_catalog("https://earth-search.aws.element84.com/v1"), is_catalog("catalog.json"), is_catalog("scenes")
    (True, True, False)
    """
    from placevec.sources.imagery.stac import is_address

    return is_address(text) or Path(text).suffix.lower() in (".json", ".geojson")
