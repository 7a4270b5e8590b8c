"""Second step for a table of points: whether labels are classes or numbers, and which classes are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.datasets.labels import SPLITS, Kind
from placevec.errors import SourceError
from placevec.preparation.points.split import Sides, SplitPlan
from placevec.preparation.points.stage import NO_LABEL, Staged
from placevec.sources.tables.values import numbers

MAX_CLASSES = 200_000
"""Twenty times the species of iNaturalist's largest task; a head with 256 numbers per class then takes 200 MB."""
FEW_WHOLE = 100
"""Maximum number of distinct integers that count as classes."""
NOT_FINITE = "label that is infinite or missing"
RARE = "of a class with too few rows"
UNSEEN = "of a class that is not in the training set"
AskedKind = Literal["auto", "classes", "number"]


@dataclass
class Decided:
    """The result for the labels.

    Attributes:
        kind: classes or numbers.
        why: reason, for display.
        classes: classes that are used, in order; empty for numbers.
        counts: (C, 3) int64 rows of each class in each split; (1, 3) for numbers.
        left_out: reason -> rows.
        values_range: smallest and largest number.
    """

    kind: Kind
    why: str
    classes: tuple[str, ...] = ()
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 3), np.int64))
    left_out: Counter[str] = field(default_factory=Counter)
    values_range: tuple[float, float] | None = None


@dataclass
class _Labels:
    """Findings over all labels."""

    rows: int = 0
    numeric: bool = True
    whole: bool = True
    stray: tuple[int, str] | None = None
    mostly_numbers: bool = False
    lowest: float = np.inf
    highest: float = -np.inf
    names: set[str] = field(default_factory=set)
    too_many: bool = False


def decide(
    staged: Staged,
    column: str,
    *,
    asked: AskedKind,
    fixed: Sequence[str] | None,
    plan: SplitPlan,
    min_per_class: int,
    one_class: bool,
    refuse_unseen: bool,
) -> Decided:
    """Decide what the labels of staged rows are.

    Args:
        staged: the rows.
        column: display name of the labels.
        asked: ``classes`` or ``number``, or ``auto``: texts are classes and fractions are numbers; integers are classes
            if there are at most `FEW_WHOLE` distinct ones, with two rows or more each on average.
        fixed: all classes in order, if the source lists them; labels must be among them.
        plan: how rows are split.
        min_per_class: rows of rarer classes are left out.
        one_class: allow a single class.
        refuse_unseen: raise an error for a class that is only in validation or test; otherwise it is kept or, with
            blocks, left out.

    Raises:
        SourceError: no labels, texts instead of numbers, a name in every row, too many classes, a single class, classes
            that are not in the training set, or no training rows.
    """
    found = _walk(staged, count_names=asked != "number" and fixed is None, parse=fixed is None)
    if found.rows == 0:
        raise SourceError(f"no row has both coordinates and a label in {column!r}")
    kind, why = (
        ("classes", "the source lists its classes") if fixed is not None else _kind(found, column, asked)
    )
    if kind == "number":
        return _numbers(staged, column, plan, found, why)
    names = list(fixed) if fixed is not None else sorted(found.names, key=_order(found))
    counts = _counts(staged, names, plan)
    decided = Decided("classes", why, tuple(names), counts)
    if fixed is None:
        _drop_rare(decided, min_per_class, column)
        _check_seen(decided, column, plan, refuse_unseen)
    present = np.flatnonzero(decided.counts.sum(axis=1))
    if len(present) == 1 and not one_class:
        raise SourceError(
            f"all rows have the same class in {column!r}, {decided.classes[present[0]][:60]!r}: there is nothing to "
            "learn; use --one-class to contrast it with background points"
        )
    if decided.counts[:, 0].sum() == 0:
        raise SourceError(f"no row of {column!r} is left for training; all are in validation or test")
    return decided


def _walk(staged: Staged, *, count_names: bool, parse: bool) -> _Labels:
    found = _Labels()
    for batch, used in staged.batches(["row", "label"]):
        labels = batch.column("label").filter(used)
        found.rows += len(labels)
        if parse and found.numeric:
            values, wrong = numbers(labels)
            finite = values[np.isfinite(values)]
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                found.stray = batch.column("row").filter(used)[at].as_py(), labels[at].as_py()
                found.numeric, found.mostly_numbers = False, bool(2 * len(finite) > len(labels))
            elif len(finite):
                found.whole &= bool((finite == np.floor(finite)).all())
                found.lowest, found.highest = (
                    min(found.lowest, finite.min()),
                    max(found.highest, finite.max()),
                )
        if count_names and not found.too_many:
            found.names.update(pc.unique(labels).to_pylist())
            found.too_many = len(found.names) > MAX_CLASSES
    return found


def _kind(found: _Labels, column: str, asked: AskedKind) -> tuple[Kind, str]:
    different = len(found.names)
    if asked == "number":
        if not found.numeric:
            row, text = found.stray or (0, "")  # counted from 0
            raise SourceError(
                f"the label {column!r} of row {row + 1} is {text[:60]!r}, which is not a number: use --kind classes "
                "for text"
            )
        return "number", "as requested"
    if asked == "classes" or not found.numeric:
        why = "as requested" if asked == "classes" else f"text, such as {(found.stray or (0, ''))[1][:40]!r}"
        if found.too_many:
            raise SourceError(
                f"{column!r} has more than {MAX_CLASSES:,} distinct labels: too many for classes"
            )
        if asked == "auto" and 2 * different > found.rows > 20:
            if found.mostly_numbers and found.stray is not None:
                raise SourceError(
                    f"{column!r} has numbers, but also text, such as {found.stray[1][:40]!r} in row "
                    f"{found.stray[0] + 1}: empty those cells, or use --kind classes"
                )
            raise SourceError(
                f"{column!r} has {different:,} distinct texts in {found.rows:,} rows: it looks like a name for each "
                f"row, not a class; choose another column, or use --kind classes"
            )
        return "classes", why
    if found.whole and not found.too_many and different <= FEW_WHOLE and 2 * different <= found.rows:
        return "classes", f"{different} distinct integers; --kind number reads them as numbers"
    hint = "; --kind classes reads them as classes" if found.whole else ""
    return "number", ("many distinct integers" if found.whole else "numbers with fractions") + hint


def _order(found: _Labels):  # type: ignore[no-untyped-def]
    """Classes are sorted as texts or, if they are numbers, as numbers."""
    return (lambda name: (float(name), name)) if found.numeric else (lambda name: name)


def _counts(staged: Staged, names: Sequence[str], plan: SplitPlan) -> NDArray[np.int64]:
    import pyarrow as pa

    counts = np.zeros((len(names), len(SPLITS)), np.int64)
    sides, table = Sides(plan, classes=True), pa.array(names, pa.string())
    wanted = ["label", "split"] if plan.given else ["label", "lon", "lat"]
    for batch, used in staged.batches(wanted):
        codes = np.asarray(pc.index_in(batch.column("label"), value_set=table).fill_null(-1)).astype(np.int64)
        side = sides.of(batch, used)
        if (codes[used] < 0).any():
            stray = batch.column("label").filter(used & (codes < 0))[0].as_py()
            raise SourceError(f"the label {stray[:60]!r} is not one of the {len(names):,} classes")
        np.add.at(counts, (codes[used], side[used]), 1)
    return counts


def _drop_rare(decided: Decided, least: int, column: str) -> None:
    rare = decided.counts.sum(axis=1) < least
    if rare.all():
        raise SourceError(f"no class of {column!r} has {least:,} rows (--min-per-class)")
    if rare.any():
        decided.left_out[RARE] += int(decided.counts[rare].sum())
        decided.classes = tuple(name for name, gone in zip(decided.classes, rare, strict=True) if not gone)
        decided.counts = decided.counts[~rare]


def _check_seen(decided: Decided, column: str, plan: SplitPlan, refuse: bool) -> None:
    unseen = (decided.counts[:, 0] == 0) & (decided.counts.sum(axis=1) > 0)
    if not unseen.any():
        return
    names = [name for name, gone in zip(decided.classes, unseen, strict=True) if gone]
    rows = int(decided.counts[unseen].sum())
    if plan.given and refuse:
        count = "1 class" if len(names) == 1 else f"{len(names):,} classes"
        verb = "is" if len(names) == 1 else "are"
        raise SourceError(
            f"{count} of {column!r} {verb} only in validation or test ({rows:,} rows) and not in training, such as "
            f"{names[0][:60]!r}: no model can learn these classes; use --leave-out-unseen to leave these rows out"
        )
    decided.left_out[UNSEEN] += rows
    decided.classes = tuple(name for name, gone in zip(decided.classes, unseen, strict=True) if not gone)
    decided.counts = decided.counts[~unseen]
    if not decided.classes:
        raise SourceError(f"no row of {column!r} is left for training; all are in validation or test")


def _numbers(staged: Staged, column: str, plan: SplitPlan, found: _Labels, why: str) -> Decided:
    decided = Decided("number", why, values_range=(found.lowest, found.highest))
    sides, infinite, missing = Sides(plan, classes=False), 0, 0
    for batch, used in staged.batches(["label", "split"] if plan.given else ["label", "lon", "lat"]):
        values, _ = numbers(batch.column("label"))
        good = np.isfinite(values)
        infinite += int(np.count_nonzero(used & np.isinf(values)))
        missing += int(np.count_nonzero(used & np.isnan(values)))
        decided.counts[0] += np.bincount(sides.of(batch, used)[used & good], minlength=3)
    decided.left_out[NOT_FINITE] += infinite
    decided.left_out[NO_LABEL] += missing
    if decided.counts.sum() == 0:
        raise SourceError(f"no row has a finite number in {column!r}")
    if decided.counts[0, 0] == 0:
        raise SourceError(f"no row of {column!r} is left for training; all are in validation or test")
    if found.lowest == found.highest:
        raise SourceError(
            f"every row has the same number in {column!r}, {found.lowest:g}: there is nothing to learn"
        )
    return decided
