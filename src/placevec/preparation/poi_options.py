"""The options of preparing points of interest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from placevec.options import Options, option


@dataclass(frozen=True)
class PoiOptions(Options):
    """A table of points of interest, and how points of a table or an extract are grouped and counted."""

    GROUP: ClassVar[str] = "Points of interest"

    pois: Path | None = option(
        None, "Table of points of interest with coordinates (default: the points of the extract)"
    )
    category: str | None = option(
        None, "Column of --pois with categories (default: category, type, class or kind)"
    )
    group: str | None = option(None, "Column of --pois with the groups of categories")
    poi_groups: str = option(
        "topics",
        "Groups of categories (topics: food, shops, ..., or the groups of --group; keys: OpenStreetMap keys such as "
        "amenity and shop; or a TOML file with a list of categories for each group)",
    )
    min_pois: int = option(
        5,
        "Minimum number of points per category; rarer categories are replaced by their group",
        min=1,
    )
    poi_size_m: float | None = option(
        None,
        "Side of the square around a place within which points are counted, meters (default: the place's polygon, or "
        "else its size)",
        above=0,
    )
