"""A table of points with labels becomes a dataset: places, labels, users, dates and a split, nothing to draw."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import get_args

from placevec.datasets.dataset import MANIFEST, Dataset
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.osm import check_size
from placevec.preparation.points.benchmark import prepare_layout
from placevec.preparation.points.build import make_dataset
from placevec.preparation.points.label_schema import AskedKind, Decided, decide
from placevec.preparation.points.split import DEFAULT_SHARE, SplitPlan
from placevec.preparation.points.stage import Staged
from placevec.sources.benchmarks import LAYOUTS
from placevec.sources.tables.labeled_points import PointTable

UNKNOWN_ATTRIBUTION = "unknown: the table names no source"


def prepare(
    out: Path,
    *,
    points: str | Path | None = None,
    label: str | None = None,
    kind: AskedKind = "auto",
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    id: str | None = None,
    user: str | None = None,
    date: str | None = None,
    split: str | None = None,
    validation_share: float | None = None,
    test_share: float | None = None,
    block_km: float | None = None,
    seed: int = 0,
    min_per_class: int = 1,
    one_class: bool = False,
    leave_out_unseen: bool = False,
    keep_repeats: bool = False,
    size_m: float | None = None,
    attribution: str | None = None,
    layout: str | None = None,
    folder: str | Path | None = None,
    meta: str | None = None,
    features: str | None = None,
    created: str,
    progress: Progress,
) -> Dataset:
    """Read a table of points, decide what its labels are, divide it, and write the dataset; see `placevec.api.prepare`.

    Args:
        out: the dataset directory.
        points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        label: the column to be learned; without one the places have coordinates only.
        kind: ``classes`` or ``number``; ``auto`` decides by what the column holds, and says it.
        lon: column of longitudes, or eastings of ``crs``.
        lat: column of latitudes, or northings.
        crs: the system of those, such as ``EPSG:3067``.
        id: column of distinct names of places.
        user: column of who observed it.
        date: column of when: a date, or the share of the year that had passed.
        split: column of ``train``, ``validation`` or ``test``.
        validation_share: without such a column, the share of rows that validate.
        test_share: likewise of those that test.
        block_km: side of the blocks that lie on one side of that split as a whole.
        seed: of that split.
        min_per_class: rows of classes with fewer are left out.
        one_class: a single class is meant, to be told from background points.
        leave_out_unseen: leave out rows of validation and test whose class is never trained on.
        keep_repeats: keep rows that repeat an earlier one.
        size_m: side of the places' footprint, for views of pictures or maps; by default they are points of no size.
        attribution: the credit that the data ask for.
        layout: instead of a table, a benchmark of `placevec.sources.benchmarks.LAYOUTS`.
        folder: that holds its files.
        meta: of birds, ``orig`` or ``ebird``.
        features: subfolder of the predictions of image classifiers.
        created: when, in ISO 8601.
        progress: where to report.
    """
    wanted = {"lon": lon, "lat": lat, "id": id, "label": label, "user": user, "date": date, "split": split}
    check_size(None, size_m)
    if layout is not None or folder is not None:
        columns = {name: (value, None) for name, value in {"points": points, **wanted}.items()}
        beside = {
            **columns, "crs": (crs, None), "kind": (kind, "auto"), "validation-share": (validation_share, None),
            "test-share": (test_share, None), "block-km": (block_km, None), "seed": (seed, 0),
            "min-per-class": (min_per_class, 1), "one-class": (one_class, False),
            "leave-out-unseen": (leave_out_unseen, False), "keep-repeats": (keep_repeats, False),
        }  # fmt: skip
        if wrong := [name for name, (value, default) in beside.items() if value != default]:
            raise UsageError(f"a layout says all about its rows: --{wrong[0]} does not go with --layout")
        if layout is None or folder is None:
            raise UsageError(f"name both a layout and its folder: --layout {'|'.join(LAYOUTS)} --folder DIR")
        return prepare_layout(
            out, layout=layout, folder=folder, meta=meta, features=features, size_m=size_m, attribution=attribution,
            created=created, progress=progress,
        )  # fmt: skip
    if meta is not None or features is not None:
        raise UsageError("--meta and --features belong to --layout")
    if points is None:
        raise UsageError("name a table of points: placevec prepare sphere2vec FILE --label COLUMN --out DS")
    plan = _plan(wanted, validation_share, test_share, block_km, seed)
    _check_options(wanted, kind, min_per_class)
    source = PointTable(points, wanted, crs, ids_are_enough=(out / MANIFEST).exists())
    inputs = {
        "points": atomic.sha256_of_file(source.path), "columns": wanted, "crs": crs, "kind": kind, "split": asdict(plan),
        "min_per_class": min_per_class, "one_class": one_class, "leave_out_unseen": leave_out_unseen,
        "keep_repeats": keep_repeats, "size_m": size_m, "attribution": attribution,
    }  # fmt: skip

    def labels_of(staged: Staged) -> Decided:
        return decide(
            staged, str(label), asked=kind, fixed=None, plan=plan, min_per_class=min_per_class, one_class=one_class,
            refuse_unseen=not leave_out_unseen,
        )  # fmt: skip

    about = {
        "kind": "table", "name": source.path.stem, "path": source.path.name, "url": None, "sha256": inputs["points"],
        "bytes": source.path.stat().st_size, "timestamp": None, "licence": None,
        "attribution": attribution or UNKNOWN_ATTRIBUTION,
    }  # fmt: skip
    return make_dataset(
        out, source, kind="table", inputs=inputs, sources=[about], plan=plan, column=label,
        labels_of=None if label is None else labels_of, keep_repeats=keep_repeats, size_m=size_m, created=created,
        progress=progress,
    )  # fmt: skip


def _plan(
    columns: dict[str, str | None],
    validation: float | None,
    test: float | None,
    block_km: float | None,
    seed: int,
) -> SplitPlan:
    if columns["split"] is None:
        validation, test = (DEFAULT_SHARE if share is None else share for share in (validation, test))
        return SplitPlan(False, validation, test, block_km, seed)
    if (validation, test, block_km) != (None, None, None):
        raise UsageError(
            "--split names a column that divides the rows: it goes without shares and --block-km"
        )
    return SplitPlan(given=True)


def _check_options(columns: dict[str, str | None], kind: str, least: int) -> None:
    if kind not in get_args(AskedKind):
        raise UsageError(f"--kind is {', '.join(get_args(AskedKind))}; got {kind!r}")
    if least < 1:
        raise UsageError(f"--min-per-class is 1 or more; got {least}")
    beside = [role for role in ("user", "date", "split") if columns[role] is not None]
    if columns["label"] is None and beside:
        raise UsageError(f"--{beside[0]} belongs to labels: name their column with --label")
