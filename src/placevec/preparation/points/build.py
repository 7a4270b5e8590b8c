"""Writes labeled points from any source as a dataset, atomically: staged, classified, split, written."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from placevec.datasets.additions import (
    LABELS_PART,
    PLACES_PART,
    Joining,
    Made,
    add,
    made,
    reused,
)
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS, SPLITS, label_files
from placevec.datasets.layout import MANIFEST, PLACES, WORK
from placevec.datasets.views import coordinates
from placevec.datasets.writer import write_manifest
from placevec.errors import DatasetError, SourceError
from placevec.geo import Area
from placevec.io import atomic
from placevec.io.jobs import Job, forget, inputs_of
from placevec.io.progress import Progress, say_notes
from placevec.preparation.existing_places import refuse_others
from placevec.preparation.points.join import JoinedRows
from placevec.preparation.points.label_schema import Decided
from placevec.preparation.points.split import SplitPlan
from placevec.preparation.points.stage import PointSource, Staged, stage
from placevec.preparation.points.write import write_added_labels, write_rows

STAGED = "staged"
_OWN = {"job": "labeled points"}
"""What half-done work says of itself: other commands, and people, have folders of its name too."""
PREDICTIONS = "image_predictions"
_WRITTEN = (PLACES, LABELS, PREDICTIONS)
"""What lies in the dataset's directory before the manifest does."""
_PAD = 1e-5
"""Degrees by which the box of points on one line is wide: about a meter."""


@dataclass(frozen=True)
class LabeledPoints:
    """What becomes a dataset of labeled points.

    Attributes:
        source: source of the rows.
        kind: kind of preparation: ``table`` or ``layout``.
        inputs: identify an existing dataset with the same content.
        sources: the manifest's sources.
        plan: how rows are split.
        column: display name of the labels.
        labels_of: decides what the labels are; None for places without labels.
        extra_files: writes further files of the labels into `PREDICTIONS` of the directory and says what the manifest
            tells of them.
        keep_repeats: use duplicate rows.
        keep_unplaced: use rows of validation and test without coordinates.
        notes: remarks for the user.
        size_m: side of a place's footprint in meters; None for points without a size.
    """

    source: PointSource
    kind: str
    inputs: dict[str, Any]
    sources: list[dict[str, Any]]
    plan: SplitPlan
    column: str | None
    labels_of: Callable[[Staged], Decided] | None
    extra_files: Callable[[Path], dict[str, Any]] | None = None
    keep_repeats: bool = False
    keep_unplaced: bool = False
    notes: Sequence[str] = ()
    size_m: float | None = None

    def staged(
        self, rows: PointSource, work: Path, progress: Progress, **remedy: str
    ) -> tuple[Staged, Decided | None]:
        """The rows that are used, stored in a folder, and their labels; SourceError if there are fewer than two."""
        staged = stage(
            rows, work / STAGED, keep_repeats=self.keep_repeats, keep_unplaced=self.keep_unplaced, progress=progress,
            **remedy,
        )  # fmt: skip
        _check_several(staged, self.source)
        decided = None if self.labels_of is None else self.labels_of(staged)
        _check_enough(staged, decided, self.source)
        return staged, decided

    def labels(self, decided: Decided, folder: Path) -> dict[str, Any]:
        """The manifest's entry of the labels in a folder."""
        about: dict[str, Any] = {
            "file": LABELS, "kind": decided.kind, "column": self.column, "classes": list(decided.classes)
        }  # fmt: skip
        return about if self.extra_files is None else {**about, **self.extra_files(folder)}


def make_dataset(out: Path, points: LabeledPoints, *, created: str, progress: Progress) -> Dataset:
    """Write a dataset of labeled points, reuse the one made from the same inputs, or label the places of another.

    If a source cannot be used, nothing is left behind, and nothing else is removed. A killed run starts over.

    Args:
        out: the dataset directory.
        points: what it is made of.
        created: time, in ISO 8601.
        progress: receives progress reports.

    Raises:
        DatasetError: the directory holds something else, or a dataset with other places or labels.
        SourceError: the source cannot be used.
    """
    made_of = Made(points.kind, points.inputs)
    parts = {PLACES_PART: made_of, **({LABELS_PART: made_of} if points.labels_of else {})}
    if (out / MANIFEST).exists():
        atomic.remove_temporaries(out)
        there = Dataset.open(out)
        if made(there, PLACES_PART) == made_of.plain():
            return reused(there, parts, progress)
        return _with_labels(there, points, made_of, created, progress)
    existed = out.exists() and not (out / WORK).is_dir()
    _check_own(out)
    _remove_written(out)
    job = Job(out / WORK, _OWN)
    try:
        staged, decided = points.staged(points.source, job.work, progress)
        written = write_rows(staged, decided, points.plan, out, progress=progress)
        labels = None if decided is None else points.labels(decided, out)
        dataset = write_manifest(
            out,
            name=str(points.sources[0]["name"]),
            area=_area(staged),
            places={
                "count": written["places"],
                "grid": "given",
                "zoom": None,
                "spacing_m": None,
                "size_m": points.size_m,
            },
            sources=points.sources,
            views={coordinates.NAME: {"spec": coordinates.SPEC.as_dict(), "files": []}},
            report=_report(staged, decided, points.plan, written, points.notes),
            parts=parts,
            labels=labels,
            created=created,
        )
    except BaseException as error:
        if not isinstance(
            error, KeyboardInterrupt
        ):  # as a kill does: what is there tells whose the directory is
            _clear(out, existed)
        raise
    job.finish()
    return dataset


def _with_labels(
    dataset: Dataset, points: LabeledPoints, made_of: Made, created: str, progress: Progress
) -> Dataset:
    """The dataset with labels of its places, unless it has them."""
    refuse_others(dataset, {}, places=None, size_m=points.size_m)
    if points.labels_of is None:
        rows = JoinedRows(points.source, dataset)
        rows.check()
        say_notes(rows.notes, progress)
        progress.say(
            f"Nothing to add: {points.source.path} has places of {dataset.path} but no labels; set --label COLUMN"
        )
        return dataset

    def write(folder: Path) -> Joining:
        rows = JoinedRows(points.source, dataset)
        staged, decided = points.staged(rows, folder, progress, remedy="keep one row per place")
        assert decided is not None
        written = write_added_labels(staged, decided, points.plan, dataset, folder, progress=progress)
        about = points.labels(decided, folder)
        many = f"{len(decided.classes):,} classes" if decided.kind == "classes" else "numbers"
        return Joining(
            f"labels ({points.column}, {many}) of {written['places']:,} of {len(dataset):,} places",
            label_files(about), points.sources, labels=about, report=_report(staged, decided, points.plan, written),
        )  # fmt: skip

    return add(dataset, LABELS_PART, made_of, write, created=created, progress=progress)


def _check_own(out: Path) -> None:
    """DatasetError unless the directory is missing, empty, or what a killed run of this recipe left."""
    found = list(out.iterdir()) if out.exists() else []
    work = out / WORK
    begun = found == [work] and work.is_dir() and not any(work.iterdir())  # killed before its first file
    if not found or begun:
        return
    if inputs_of(work) != _OWN:
        raise DatasetError(f"{out} exists and is not a placevec dataset: choose another --out")
    for path in found:
        if path.name not in (WORK, *_WRITTEN) and not path.name.startswith(atomic.TEMPORARY_PREFIX):
            raise DatasetError(
                f"{out} holds an unfinished dataset, but {path.name} is not part of it: move it elsewhere, or choose "
                f"another --out"
            )


def _remove_written(out: Path) -> None:
    """Remove what a run without a manifest wrote; what says whose it is goes last, as a kill may fall between."""
    for name in _WRITTEN:
        atomic.remove_temporaries(out, of=name)
        _remove(out / name)
    atomic.remove_temporaries(out, of=MANIFEST)
    forget(out / WORK)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _clear(out: Path, existed: bool) -> None:
    if (out / MANIFEST).exists():
        return
    _remove_written(out)
    if not existed and out.exists() and not any(out.iterdir()):
        out.rmdir()


def _check_several(staged: Staged, source: PointSource) -> None:
    """SourceError when one row is left before its label is looked at, which would be told as one class or number."""
    if staged.rows - int(staged.repeated.sum()) == 1:
        _check_enough(staged, None, source)


def _check_enough(staged: Staged, decided: Decided | None, source: PointSource) -> None:
    """SourceError when fewer than two rows are left."""
    left = (
        staged.rows - int(staged.repeated.sum()) - sum((decided.left_out if decided else Counter()).values())
    )
    if left >= 2:
        return
    why = ", ".join(f"{count:,} {reason}" for reason, count in left_out(staged, decided).items())
    raise SourceError(
        f"{source.path} has {left:,} usable row{'' if left == 1 else 's'} of {staged.read:,}"
        f"{f' ({why})' if why else ''}: at least two are needed to train a model"
    )


def left_out(staged: Staged, decided: Decided | None) -> dict[str, int]:
    """Reason -> rows that were left out, most first."""
    total = staged.left_out + (decided.left_out if decided else Counter())
    return {reason: count for reason, count in total.most_common() if count}


def _area(staged: Staged) -> Area:
    west, south, east, north = staged.bounds
    if not np.isfinite(staged.bounds).all():
        return Area(-180.0, -90.0, 180.0, 90.0)
    if west == east:
        west, east = max(-180.0, west - _PAD), min(180.0, east + _PAD)
    if south == north:
        south, north = max(-90.0, south - _PAD), min(90.0, north + _PAD)
    return Area(west, south, east, north)


def _report(
    staged: Staged,
    decided: Decided | None,
    plan: SplitPlan,
    written: dict[str, int],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """What was met, for people and for the next run: nothing in it is read back but ``inputs``."""
    report: dict[str, Any] = {
        "rows": staged.read,
        "left_out": left_out(staged, decided),
        "without_coordinates": written["unplaced"],
        "at_lon_0_lat_0": staged.at_origin,
        "notes": list(dict.fromkeys([*notes, *staged.notes])),
    }
    if decided is None:
        return report
    report["labels"] = {"kind": decided.kind, "why": decided.why}
    if decided.kind == "classes":
        most = np.argsort(-decided.counts.sum(axis=1), kind="stable")[:20]
        report["labels"]["classes"] = len(decided.classes)
        report["labels"]["largest"] = {decided.classes[row]: int(decided.counts[row].sum()) for row in most}
    else:
        report["labels"]["range"] = list(decided.values_range or ())
    report["split"] = {
        "by": "the table"
        if plan.given
        else f"blocks of {plan.block_m / 1000.0:g} km"
        if plan.block_m
        else "rows at random",
        **dict(zip(SPLITS, decided.counts.sum(axis=0).tolist(), strict=True)),
    }
    if "user" in staged.columns:
        report["users"] = written["users"]
    if "date" in staged.columns:
        report["dates_unreadable"] = staged.dates_unreadable
        report["dates"] = {"count": staged.dated, "with_time_of_day": staged.with_hour}
        if np.isfinite(staged.period).all():
            report["dates"]["period"] = list(staged.period)
    return report
