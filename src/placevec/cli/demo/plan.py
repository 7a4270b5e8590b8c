"""The plan of `placevec demo`: the included extract, or your own data, with settings for its size."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DROPPED = ("landcover", "natural-features", "leisure", "amenities")
"""Layers whose tags are used for evaluation: left out of the input."""
MAX_PER_EPOCH = 10_000
"""Places per epoch, as in founding document 004."""
_FEW_TILES = 1_000


@dataclass(frozen=True)
class Plan:
    """The options of the steps, with the same spelling as in Python and on the command line.

    Attributes:
        name: name of the files.
        title: title of the page.
        out: directory for all output.
        source: source and layout of the places: options of ``prepare``.
        training: options of ``train``.
        query: name of the place to search for; None uses the one in the middle.
        check: the user's file or folder, which is checked first; None for the included data.
        labeled: whether the places have labels to evaluate with, and the model ``base`` can read them.
    """

    name: str
    title: str
    out: Path
    source: dict[str, Any]
    training: dict[str, Any]
    query: str | None = None
    check: Path | None = None
    labeled: bool = True

    def with_preset(self, preset: str) -> Plan:
        """The same, trained with a preset of the recipe: its network, objective and windows, on pairs as far apart."""
        kept = {name: value for name, value in self.training.items() if name not in ("size_m", "size_px")}
        return replace(self, training={"preset": preset, **kept})

    @property
    def dataset(self) -> Path:
        """The dataset's directory."""
        return self.out / self.name

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.out / "run"

    @property
    def table(self) -> Path:
        """The table of vectors."""
        return self.out / f"{self.name}.parquet"

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.out / "report"

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.out / f"{self.name}.html"


def embedded(out: Path | None, epochs: int, query: str | None, seed: int) -> Plan:
    """Central Helsinki, 1.0 x 1.7 km: a fine grid of places, windows of 120 m."""
    return Plan(
        name="helsinki",
        title="Central Helsinki",
        out=out or Path("demo"),
        source={"osm_name": "helsinki-center", "spacing": 40.0, "size_m": 120.0},
        training={
            "epochs": epochs, "size_m": 120.0, "size_px": 64, "near_m": 40.0, "far_m": 160.0,
            "drop_layers": DROPPED, "seed": seed,
        },
        query=query or "Rautatientori",
    )  # fmt: skip


def of_extract(osm: Path, out: Path | None, epochs: int, query: str | None, seed: int) -> Plan:
    """The user's extract: map tiles as places, or a grid of 60 m if there are few.

    Raises:
        SourceError: the extract does not exist or is damaged.
    """
    from placevec.geo import tile_ranges
    from placevec.sources.osm.reader import check_extract, extent, read_header

    path = check_extract(osm)
    area = read_header(path).area or extent(path)
    tiles = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in tile_ranges(area, 17))
    stem = _stem(path)
    source: dict[str, Any] = {"osm": path}
    training: dict[str, Any] = {"epochs": epochs, "size_px": 64, "drop_layers": DROPPED, "seed": seed}
    if tiles < _FEW_TILES:
        source |= {"spacing": 60.0, "size_m": 120.0}
        training |= {"size_m": 120.0, "near_m": 60.0, "far_m": 240.0}
    return Plan(stem, stem, out or Path(f"demo-{stem}"), source, training, query, check=path)


def of_folder(folder: Path, out: Path | None, epochs: int, query: str | None, seed: int) -> Plan:
    """The user's tiles, with distances in tiles and without labels.

    Raises:
        SourceError: the folder does not exist.
    """
    from placevec.errors import SourceError

    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}")
    stem = _stem(folder.resolve().parent if folder.name == "tiles" else folder.resolve())
    training = {"epochs": epochs, "size_px": 64, "near_tiles": 1.0, "far_tiles": 4.0, "seed": seed}
    return Plan(
        stem, stem, out or Path(f"demo-{stem}"), {"tile_folder": folder}, training, query, check=folder,
        labeled=False,
    )  # fmt: skip


def _stem(path: Path) -> str:
    """A short name for files, from a file's name: letters, digits, dots and dashes."""
    bare = re.sub(r"\.(osm\.pbf|pbf|osm\.gz|osm\.bz2|osm)$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", bare).strip(".-") or "own"
