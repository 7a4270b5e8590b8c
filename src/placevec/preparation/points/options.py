"""The options of preparing labeled points: of a table, of a benchmark's files, or of images that say where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of

Layout = Literal["inat2017", "inat2018", "birdsnap", "nabirds", "yfcc", "fmow"]
COLUMNS = ("lon", "lat", "id", "label", "user", "date", "split")
"""Options that name a column of the table."""
FOLDER = "folder"
"""The label of chips that lie in a folder for each class."""
_SAID_BY_LAYOUT = (
    "points", *COLUMNS, "crs", "kind", "validation_share", "test_share", "block_m", "seed", "min_per_class", "one_class",
    "leave_out_unseen", "keep_duplicates",
)  # fmt: skip
_SAID_BY_IMAGES = ("points", "layout", "folder", "kind", "lon", "lat", "crs", "id", "user", "date", "split")
_TABLE, _SPLIT, _BENCHMARK, _IMAGES = "Table of points", "Split", "Files of a benchmark", "Images"


@dataclass(frozen=True)
class PointOptions(Options):
    """Points with labels: a table, or a benchmark in its authors' own files.

    Raises:
        UsageError: options that do not go together.
    """

    GROUP: ClassVar[str] = _TABLE

    points: Path | None = option(
        None, "Table of points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf"
    )
    label: str | None = option(
        None, "Column to be learned (of --images: folder, the folder that a chip lies in)"
    )
    kind: Literal["auto", "classes", "number"] = option(
        "auto", "Kind of labels (auto reports what it decided)"
    )
    lon: str | None = option(None, "Column of longitudes (default: found by name)")
    lat: str | None = option(None, "Column of latitudes (default: found by name)")
    crs: str | None = option(
        None, "Coordinate system, such as EPSG:3067 (default: degrees, or that of the file)"
    )
    id: str | None = option(
        None, "Column of distinct names of places (default place_id or id; row: the number of the row)"
    )
    user: str | None = option(None, "Column of observers")
    date: str | None = option(None, "Column of dates, or of the share of the year, 0 to 1")
    min_per_class: int = option(1, "Minimum rows of a class; classes with fewer are left out", min=1)
    one_class: bool = option(False, "A single class, learned against background points")
    leave_out_unseen: bool = option(False, "Rows left out whose class is not in the training split")
    keep_duplicates: bool = option(False, "Rows kept that duplicate an earlier one")
    size_m: float | None = option(None, "Side of a place, meters (default: points of no size)", above=0)
    attribution: str | None = option(None, "Credit that the data ask for")
    split: str | None = option(
        None, "Column of train, validation or test (default: rows are drawn)", group=_SPLIT
    )
    validation_share: float | None = option(
        None, "Share of rows for validation (default 0.1)", group=_SPLIT, min=0, below=1
    )
    test_share: float | None = option(
        None, "Share of rows for test (default 0.1)", group=_SPLIT, min=0, below=1
    )
    block_m: float | None = option(
        None,
        "Side of whole blocks that are drawn instead of rows, meters",
        group=_SPLIT,
        above=0,
        max=10_000_000,
    )
    seed: int = option(0, "Seed of the split", group=_SPLIT, min=0)
    layout: Layout | None = option(None, "Benchmark whose files --folder holds", group=_BENCHMARK)
    folder: Path | None = option(None, "Folder of the benchmark's files", group=_BENCHMARK)
    meta: Literal["orig", "ebird"] | None = option(
        None, "Metadata of birds: where photos say they were taken, or simulated", group=_BENCHMARK
    )
    features: str | None = option(
        None, "Subfolder of image predictions, such as features_inception_hr", group=_BENCHMARK
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout is not None or self.folder is not None:
            self.refuse(_SAID_BY_LAYOUT, "does not go with --layout, which says all about its rows")
            if self.layout is None or self.folder is None:
                raise UsageError("name both a benchmark and its folder: --layout NAME --folder DIR")
            return
        if self.meta is not None or self.features is not None:
            raise UsageError("--meta and --features belong to --layout")
        if self.split is not None:
            self.refuse(
                ("validation_share", "test_share", "block_m"),
                "does not go with --split, a column that divides the rows",
            )
        if self.label is None:
            self.refuse(("user", "date", "split"), "belongs to labels: name their column with --label")

    def refuse(self, names: tuple[str, ...], why: str) -> None:
        """UsageError for an option that is not as it is by default."""
        default = {one.name: one.default for one in options_of(type(self))}
        for name in names:
            if getattr(self, name) != default[name]:
                raise UsageError(f"{flag_of(name)} {why}")


@dataclass(frozen=True)
class ImageOptions(PointOptions):
    """Points with labels, images, or both.

    Raises:
        UsageError: options that do not go together.
    """

    GROUP: ClassVar[str] = _IMAGES

    images: tuple[Path, ...] = option(
        (),
        "Folder or zip file of georeferenced GeoTIFF chips, each a place (instead of a table; may be repeated)",
    )
    bands: str | None = option(
        None,
        "Bands of the images where files do not name them: names with commas, or rgb, l2a, l1c or eurosat",
    )
    image_features: Path | None = option(
        None, "Features of the places' images: .npy in the order of the table, or .parquet with place_id"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bands is not None and not self.images:
            raise UsageError("--bands names those of images: it needs --images")
        if self.images:
            self.refuse(
                _SAID_BY_IMAGES,
                "is about a table of points: it does not go with --images, which say where they lie",
            )
            if self.label not in (None, FOLDER):
                raise UsageError(
                    f"images are labeled by the folder that they lie in: --label {FOLDER}, or without"
                )
