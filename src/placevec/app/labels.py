"""Labels that the user gives places, a linear probe trained on them, and the places that it is least sure of."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError, OutputError, UsageError
from placevec.geo import Floats
from placevec.geo.blocks import spatial_blocks
from placevec.io import atomic

MAX_CLASSES = 50
MAX_NAME = 60
"""Characters of a class."""
_MARGIN_POOL = 300
"""The least certain places, among which those that differ most are offered."""
_CROWD = 20_000
"""Labeled places that a probe learns from; of more, the first ones."""


@dataclass
class Labels:
    """Labels of places, the same for all browsers, kept in a table that ``placevec evaluate --labels`` takes.

    Attributes:
        path: CSV file with the columns place_id and label.
        of: place_id -> class.
        problem: why the file could not be written last time; empty if it was.
        others: labels of places that are not here; they stay in the file.
    """

    path: Path
    of: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    others: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, path: Path, places: Sequence[str]) -> Labels:
        """The labels in a file, if there is one; those of other places are not shown, and stay in it.

        InputError if it is not a table of labels.
        """
        labels = cls(path)
        if path.exists():
            try:
                held, known = read_labels(path.read_bytes()), set(places)
                labels.of = {place: label for place, label in held.items() if place in known}
                labels.others = {place: label for place, label in held.items() if place not in known}
            except (OSError, InputError) as error:
                raise InputError(f"{path} is not a table of labels: {error}; move or rename it") from error
        return labels

    @property
    def classes(self) -> list[str]:
        """Names of the classes that occur, most frequent first."""
        names = list(self.of.values())
        return sorted(set(names), key=lambda name: (-names.count(name), name))

    def give(self, places: Sequence[str], label: str | None) -> None:
        """Label places, or take their labels away (None), and write the file.

        UsageError for a name that is empty or too long, or too many classes.
        """
        with self._lock:
            if label is not None:
                label = checked_class(label)
                if len({*self.of.values(), label}) > MAX_CLASSES:
                    raise UsageError(f"a table of labels can have at most {MAX_CLASSES} classes")
            for place in places:
                if label is None:
                    self.of.pop(place, None)
                else:
                    self.of[place] = label
            try:
                atomic.write_bytes(self.path, self.table())
                self.problem = ""
            except (OSError, OutputError) as error:
                self.problem = f"{self.path} cannot be written ({error}): save the labels from the browser"

    def table(self) -> bytes:
        """The labels as CSV: place_id, label."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["place_id", "label"])
        writer.writerows(sorted({**self.others, **self.of}.items()))
        return file.getvalue().encode("utf-8", "surrogatepass")


def checked_class(name: str) -> str:
    """The name of a class without white space around it; UsageError if it is empty, long, or could act as a formula.

    >>> checked_class(" park ")
    'park'
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise UsageError(f"the name of a class must have 1 to {MAX_NAME} characters")
    if name[0] in "=+-@" or not name.isprintable():
        raise UsageError(
            "the name of a class must begin with a letter or digit and contain only printable characters"
        )
    return name


def read_labels(content: bytes) -> dict[str, str]:
    """place_id -> class from a CSV with these two columns; rows without a label are none.

    InputError if it is not one.

    >>> read_labels(b"place_id,label\\na,park\\nb,\\n")
    {'a': 'park'}
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        if not {"place_id", "label"} <= set(rows.fieldnames or ()):
            raise InputError(f"it needs the columns place_id and label; it has {rows.fieldnames}")
        return {
            row["place_id"]: checked_class(row["label"])
            for row in rows
            if row["place_id"] and row["label"] and row["label"].strip()
        }
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"it is not a CSV file in UTF-8: {error}") from error


@dataclass(frozen=True)
class Prediction:
    """What a linear probe makes of every place.

    Attributes:
        classes: K names.
        probability: (N, K) float32.
        accuracy: share of labeled places predicted right from other spatial blocks; NaN with too few labels.
        chance: share of the most frequent class.
        learned: number of labeled places it learned from.
    """

    classes: tuple[str, ...]
    probability: NDArray[np.float32]
    accuracy: float
    chance: float
    learned: int

    @property
    def code(self) -> NDArray[np.int64]:
        """(N,) the most likely class."""
        return np.asarray(self.probability.argmax(axis=1), np.int64)

    @property
    def margin(self) -> NDArray[np.float32]:
        """(N,) probability of the most likely class minus that of the next: small where the probe is unsure."""
        top = np.partition(self.probability, -2, axis=1)[:, -2:]
        return np.asarray(top[:, 1] - top[:, 0], np.float32)


def learn(
    vectors: NDArray[np.float32], rows: Sequence[int], labels: Sequence[str], lonlat: Floats
) -> Prediction:
    """Train logistic regression on labeled places and predict all.

    Args:
        vectors: (N, D) of all places.
        rows: the labeled ones.
        labels: their classes.
        lonlat: (N, 2) degrees of all places; NaN without coordinates.

    Raises:
        UsageError: fewer than two classes.
    """
    at, names = np.asarray(rows, np.int64)[:_CROWD], np.asarray(labels, object)[:_CROWD]
    classes, target = np.unique(names.astype(str), return_inverse=True)
    if len(classes) < 2:
        raise UsageError("a probe needs places of at least two classes")
    known = vectors[at].astype(np.float64)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    probe = _probe().fit((known - mean) / spread, target)
    parts = [
        probe.predict_proba((vectors[start : start + 65_536] - mean) / spread).astype(np.float32)
        for start in range(0, len(vectors), 65_536)
    ]
    share = float(np.bincount(target).max() / len(target))
    return Prediction(
        tuple(classes.tolist()), np.concatenate(parts), _held_out(known, target, lonlat[at]), share, len(at)
    )


def _probe() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=500, class_weight="balanced")


def _held_out(known: NDArray[np.float64], target: NDArray[np.int64], lonlat: Floats, folds: int = 5) -> float:
    """Accuracy on spatial blocks that the probe did not learn from; NaN where that cannot be measured."""
    place = np.isfinite(lonlat).all(axis=1)
    if place.sum() < len(known) or len(known) < 2 * folds:
        return float("nan")
    span = float(np.ptp(lonlat[:, 1]) * 111_195.0) or float(np.ptp(lonlat[:, 0]) * 111_195.0)
    block = spatial_blocks(lonlat[:, 0], lonlat[:, 1], max(span / (2 * folds), 1.0))
    _, block = np.unique(block, return_inverse=True)
    fold = np.random.default_rng(0).permutation(block.max() + 1)[block] % folds
    right = tested = 0
    for one in range(folds):
        train, test = fold != one, fold == one
        if not test.any() or len(np.unique(target[train])) < 2:
            continue
        mean, spread = known[train].mean(axis=0), known[train].std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        probe = _probe().fit((known[train] - mean) / spread, target[train])
        right += int((probe.predict((known[test] - mean) / spread) == target[test]).sum())
        tested += int(test.sum())
    return right / tested if tested else float("nan")


def to_label_next(
    prediction: Prediction | None,
    vectors: NDArray[np.float32],
    labeled: Sequence[int],
    count: int,
    seed: int = 0,
) -> NDArray[np.int64]:
    """(at most ``count``,) rows to label next: the least certain places, and of these such that differ from each other.

    Without a prediction they are random places that differ.
    """
    free = np.ones(len(vectors), bool)
    free[list(labeled)] = False
    rows = np.flatnonzero(free)
    if prediction is None:
        pool = np.random.default_rng(seed).permutation(rows)[:_MARGIN_POOL]
    else:
        pool = rows[
            np.argsort(prediction.margin[rows], kind="stable")[
                : max(count, min(_MARGIN_POOL, len(rows) // 10))
            ]
        ]
    return _different(vectors, pool, count)


def _different(vectors: NDArray[np.float32], pool: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first of a pool, then always the one farthest from those taken."""
    if len(pool) <= count:
        return pool
    known = vectors[pool].astype(np.float64)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    taken, far = [0], ((known - known[0]) ** 2).sum(axis=1)
    while len(taken) < count:
        best = int(far.argmax())
        taken.append(best)
        far = np.minimum(far, ((known - known[best]) ** 2).sum(axis=1))
    return pool[taken]
