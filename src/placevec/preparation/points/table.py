"""A table of labeled points becomes a dataset with places, labels, users, dates and a split; nothing is drawn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import MANIFEST, source_entry
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.points.benchmark import layout_points
from placevec.preparation.points.build import LabeledPoints, make_dataset
from placevec.preparation.points.label_schema import Decided, decide
from placevec.preparation.points.options import COLUMNS, PointOptions
from placevec.preparation.points.split import DEFAULT_SHARE, SplitPlan
from placevec.preparation.points.stage import Staged
from placevec.sources.tables.labeled_points import PointTable

UNKNOWN_ATTRIBUTION = "unknown: the table names no source"


def prepare(out: Path, options: PointOptions, *, created: str, progress: Progress) -> Dataset:
    """Read a table of points, decide what its labels are, split it, and write the dataset; see `placevec.prepare`.

    Args:
        out: the dataset directory.
        options: the table or benchmark, and how to read it.
        created: time, in ISO 8601.
        progress: receives progress reports.
    """
    if options.layout is not None and options.folder is not None:
        points = layout_points(options.layout, options.folder, options)
        return make_dataset(out, points, created=created, progress=progress)
    if options.points is None:
        raise UsageError("give a table of points: FILE --label COLUMN")
    plan = _plan(options)
    wanted = {name: getattr(options, name) for name in COLUMNS}
    source = PointTable(options.points, wanted, options.crs, ids_are_enough=(out / MANIFEST).exists())
    inputs = {
        "points": atomic.sha256_of_file(source.path), "columns": wanted, "crs": options.crs, "kind": options.kind,
        "split": asdict(plan), "min_per_class": options.min_per_class, "one_class": options.one_class,
        "leave_out_unseen": options.leave_out_unseen, "keep_duplicates": options.keep_duplicates,
        "size_m": options.size_m, "attribution": options.attribution,
    }  # fmt: skip

    def labels_of(staged: Staged) -> Decided:
        return decide(
            staged, str(options.label), asked=options.kind, fixed=None, plan=plan, min_per_class=options.min_per_class,
            one_class=options.one_class, refuse_unseen=not options.leave_out_unseen,
        )  # fmt: skip

    about = source_entry(
        "table", source.path.stem, [source.path], path=source.path.name, sha256=str(inputs["points"]),
        attribution=options.attribution or UNKNOWN_ATTRIBUTION,
    )  # fmt: skip
    points = LabeledPoints(
        source, "table", inputs, [about], plan, options.label, None if options.label is None else labels_of,
        keep_repeats=options.keep_duplicates, size_m=options.size_m,
    )  # fmt: skip
    return make_dataset(out, points, created=created, progress=progress)


def _plan(options: PointOptions) -> SplitPlan:
    if options.split is not None:
        return SplitPlan(given=True)
    validation, test = (
        DEFAULT_SHARE if share is None else share for share in (options.validation_share, options.test_share)
    )
    return SplitPlan(False, validation, test, options.block_m, options.seed)
