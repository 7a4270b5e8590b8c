"""The options of preparing labeled points: from a table, a benchmark, or georeferenced images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of

Layout = Literal["inat2017", "inat2018", "birdsnap", "nabirds", "yfcc", "fmow"]
COLUMNS = ("lon", "lat", "id", "label", "user", "date", "split")
"""Options for columns of the table."""
FOLDER = "folder"
"""The label of chips with one folder per class."""
_SAID_BY_LAYOUT = (
    "points", *COLUMNS, "crs", "kind", "validation_share", "test_share", "block_m", "seed", "min_per_class", "one_class",
    "leave_out_unseen", "keep_duplicates",
)  # fmt: skip
_SAID_BY_IMAGES = ("points", "layout", "folder", "kind", "lon", "lat", "crs", "id", "user", "date", "split")
_TABLE, _SPLIT, _BENCHMARK, _IMAGES = "Table of points", "Split", "Files of a benchmark", "Images"


@dataclass(frozen=True)
class PointOptions(Options):
    """Labeled points: a table, or a benchmark in its authors' own files.

    Raises:
        UsageError: options that cannot be combined.
    """

    GROUP: ClassVar[str] = _TABLE

    points: Path | None = option(
        None, "Table of points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf"
    )
    label: str | None = option(
        None, "Column to predict (with --images, only `folder` is possible: the name of each chip's folder)"
    )
    kind: Literal["auto", "classes", "number"] = option("auto", "Kind of labels (auto prints its decision)")
    lon: str | None = option(None, "Column of longitudes (default: found by name)")
    lat: str | None = option(None, "Column of latitudes (default: found by name)")
    crs: str | None = option(
        None, "Coordinate reference system, such as EPSG:3067 (default: the file's own, otherwise degrees)"
    )
    id: str | None = option(
        None, "Column of unique IDs of places (default place_id or id; row: the row number)"
    )
    user: str | None = option(None, "Column of observers")
    date: str | None = option(None, "Column of dates, or of fractions of the year, 0 to 1")
    min_per_class: int = option(1, "Minimum number of rows per class; smaller classes are left out", min=1)
    one_class: bool = option(False, "Allow a single class, contrasted with background points")
    leave_out_unseen: bool = option(False, "Leave out rows with a class that is not in the training set")
    keep_duplicates: bool = option(False, "Keep rows that duplicate an earlier one")
    size_m: float | None = option(None, "Side of a place, meters (default: points without a size)", above=0)
    attribution: str | None = option(None, "Attribution that the data requires")
    split: str | None = option(
        None, "Column with train, validation or test (default: random split)", group=_SPLIT
    )
    validation_share: float | None = option(
        None, "Share of rows for validation (default 0.1)", group=_SPLIT, min=0, below=1
    )
    test_share: float | None = option(
        None, "Share of rows for testing (default 0.1)", group=_SPLIT, min=0, below=1
    )
    block_m: float | None = option(
        None,
        "Side of the spatial blocks that are assigned to splits as a whole, instead of single rows, meters",
        group=_SPLIT,
        above=0,
        max=10_000_000,
    )
    seed: int = option(0, "Seed of the split", group=_SPLIT, min=0)
    layout: Layout | None = option(None, "Benchmark in --folder", group=_BENCHMARK)
    folder: Path | None = option(None, "Folder of the benchmark's files", group=_BENCHMARK)
    meta: Literal["orig", "ebird"] | None = option(
        None, "Metadata for the bird datasets (orig: of the photos; ebird: simulated)", group=_BENCHMARK
    )
    features: str | None = option(
        None, "Subfolder of image predictions, such as features_inception_hr", group=_BENCHMARK
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout is not None or self.folder is not None:
            self.refuse(
                _SAID_BY_LAYOUT, "cannot be combined with --layout, which defines how its rows are read"
            )
            if self.layout is None or self.folder is None:
                raise UsageError("give both a benchmark and its folder: --layout NAME --folder DIR")
            return
        if self.meta is not None or self.features is not None:
            raise UsageError("--meta and --features need --layout")
        if self.split is not None:
            self.refuse(
                ("validation_share", "test_share", "block_m"),
                "cannot be combined with --split, which already gives the split",
            )
        if self.label is None:
            self.refuse(("user", "date", "split"), "applies to labels: set their column with --label")

    def refuse(self, names: tuple[str, ...], why: str) -> None:
        """UsageError for an option that differs from its default."""
        default = {one.name: one.default for one in options_of(type(self))}
        for name in names:
            if getattr(self, name) != default[name]:
                raise UsageError(f"{flag_of(name)} {why}")


@dataclass(frozen=True)
class ImageOptions(PointOptions):
    """Points with labels, with images, or both.

    Raises:
        UsageError: options that cannot be combined.
    """

    GROUP: ClassVar[str] = _IMAGES

    images: tuple[Path, ...] = option(
        (),
        "Folder or zip file of georeferenced GeoTIFF chips, one per place (instead of a table; may be repeated)",
    )
    bands: str | None = option(
        None,
        "Bands of the images if the files do not name them: names separated by commas, or rgb, l2a, l1c or eurosat",
    )
    image_features: Path | None = option(
        None, "Features of the places' images: .npy in the order of the table, or .parquet with place_id"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bands is not None and not self.images:
            raise UsageError("--bands applies to images: it needs --images")
        if self.images:
            self.refuse(
                _SAID_BY_IMAGES,
                "applies to a table of points: it cannot be combined with --images, which have their own locations",
            )
            if self.label not in (None, FOLDER):
                raise UsageError(
                    f"images can only be labeled by their folder: use --label {FOLDER}, or no --label"
                )
