"""Queries to a model: some of its classes, or its number, at points."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.errors import InputError, ModelError, UsageError
from placevec.geo import Floats
from placevec.io.progress import printable
from placevec.models.heads import Head, HeadKind
from placevec.models.model import Model
from placevec.models.reliability import Reliability
from placevec.sources.tables.dates import read_moments

MAX_QUERIED_CLASSES = 64
"""Maximum classes per query: bands of a raster, panels of a figure."""
_MAX_NUMBERS = 2**24
"""Maximum predictions in memory: points times all classes."""
_MAX_COMPARED = 20_000
DISTANCE, SUPPORT = "distance to training points, km", "supported"
LOWER, UPPER, DEVIATION = "lower 90%", "upper 90%", "standard deviation"
NUMBER = "number"
"""Name of a predicted number if the training record does not name its label."""


@dataclass(frozen=True)
class Question:
    """Classes of a model, or its number.

    Attributes:
        model: with a head, restricted to the queried classes if that saves work.
        names: names of the predictions, in order: classes, or the label's name for a number.
        kind: of the head: ``presence``, ``classes`` or ``number``.
        year: the numbers of the time to predict for, for models that read it, see `Model.times`.
    """

    model: Model
    names: tuple[str, ...]
    kind: HeadKind
    columns: tuple[int, ...]
    year: tuple[float, ...] | None = None

    def answers(self, lonlat: Floats) -> NDArray[np.float32]:
        """(N, len(names)) float32 at (N, 2) degrees lon, lat; any longitude is allowed. Memory grows with N only.

        Raises:
            InputError: a latitude beyond a pole, or a missing or unexpected year.
        """
        assert self.model.head is not None
        at_once = max(256, _MAX_NUMBERS // self.model.head.outputs)
        parts = [np.empty((0, len(self.columns)), np.float32)]
        for start in range(0, len(lonlat), at_once):
            part = wrapped(lonlat[start : start + at_once])
            parts.append(self.model.predict_lonlat(part, self._times(len(part)))[:, list(self.columns)])
        return np.concatenate(parts)

    @property
    def reliability(self) -> Reliability | None:
        """What the head knows of its training points; None for models that keep nothing of them."""
        assert self.model.head is not None
        return self.model.head.reliability

    @property
    def doubts(self) -> tuple[str, ...]:
        """Names of the further layers: bands of 90% or deviations, then distance and support; empty if unknown."""
        known = self.reliability
        if known is None:
            return ()
        if not known.width:
            return (DISTANCE, SUPPORT)
        if self.kind == "number":
            return (f"{self.names[0]}: {LOWER}", f"{self.names[0]}: {UPPER}", DISTANCE, SUPPORT)
        return (*(f"{name}: {DEVIATION}" for name in self.names), DISTANCE, SUPPORT)

    def layers(self, lonlat: Floats) -> NDArray[np.float32]:
        """(N, names + doubts) float32: `answers`, then what `doubts` names; support is 1, or 0 beyond the reach."""
        known, head = self.reliability, self.model.head
        if known is None:
            return self.answers(lonlat)
        assert head is not None
        at_once = max(256, _MAX_NUMBERS // head.outputs)
        parts = [np.empty((0, len(self.names) + len(self.doubts)), np.float32)]
        for start in range(0, len(lonlat), at_once):
            part = wrapped(lonlat[start : start + at_once])
            z = torch.from_numpy(self.model.embed_lonlat(part, self._times(len(part))))
            with torch.inference_mode():
                answers = head.cpu().answers(z)[:, list(self.columns)]
                found = [answers.numpy(), *_doubts(self, known, head, z, answers)]
            distance = known.distance_km(part)
            within = (distance <= float(known.reach_km)) & ~self.outside_period
            found += [distance[:, None], within[:, None]]
            parts.append(np.concatenate(found, axis=1).astype(np.float32))
        return np.concatenate(parts)

    def unsupported(self, lonlat: Floats) -> NDArray[np.bool_]:
        """(N,) whether no training point is within reach of (N, 2) points; all False for models that keep none."""
        known = self.reliability
        if known is None:
            return np.zeros(len(lonlat), bool)
        return ~known.supported(lonlat) | self.outside_period

    @property
    def outside_period(self) -> bool:
        """Whether the time to predict for lies before or after those of the training."""
        return self.year is not None and bool(self.model.outside_period(np.array([self.year]))[0])

    @property
    def period_note(self) -> str:
        """That the time to predict for lies outside the period of training; empty if it does not."""
        return outside_note(self.model, self.year)

    def _times(self, count: int) -> Floats | None:
        """(count, K) the time, for every point."""
        return None if self.year is None else np.tile(np.array(self.year, np.float64), (count, 1))


def outside_note(model: Model, when: tuple[float, ...] | None) -> str:
    """That a time, see `time_for`, lies outside the period of training; empty if it does not.

    >>> outside_note(Model({}, {}), None)
    ''
    """
    if when is None or model.period is None or not bool(model.outside_period(np.array([when]))[0]):
        return ""
    first, last = model.period
    return (
        f"the date lies outside the period of training, {first:.2f} to {last:.2f}: the model predicts for the "
        f"{'first' if when[-1] < first else 'last'} moment, and no place is supported"
    )


def _doubts(
    question: Question, known: Reliability, head: Head, z: torch.Tensor, answers: torch.Tensor
) -> list[NDArray[np.float32]]:
    """The band of a number, or the deviation of each probability by the delta method."""
    if not known.width:
        return []
    if question.kind == "number":
        half = (known.half_width(z) * head.deviation)[:, None]
        return [(answers - half).numpy(), (answers + half).numpy()]
    deviation = known.deviation(z)[:, list(question.columns)]
    return [(deviation * answers * (1 - answers)).numpy()]


def ask(
    model: Model, classes: Sequence[str] = (), *, year: float | None = None, date: str | None = None
) -> Question:
    """Query ``classes`` of a model, in that order, or its number if it predicts a number.

    Raises:
        ModelError: the model has no head, or reads more than coordinates.
        UsageError: an unknown class (similar ones are suggested), a duplicate, or too many; classes for a model of
            numbers, or none for a model of classes; an invalid or missing time.

    >>> from placevec import encoders
    >>> from placevec.core import ViewSpec
    >>> from placevec.models.reading import Reading
    >>> reads = {"coordinates": Reading("location", ViewSpec("coordinates", "coordinates"))}
    >>> heads = {"coordinates": Head(8, "classes", ["elm", "oak"])}
    >>> model = Model({"location": encoders.location("sphereC", dim=8, scales=4)}, reads, heads=heads)
    >>> question = ask(model, ["oak"])
    >>> question.names, question.answers(np.array([[24.94, 60.17]])).shape
    (('oak',), (1, 1))
    """
    answering(model)
    return question_at(model, classes, time_for(model, year, date))


def question_at(model: Model, classes: Sequence[str], when: tuple[float, ...] | None) -> Question:
    """As `ask`, with the numbers of the time, see `time_for`; None also where every point has its own.

    >>> question_at(Model({}, {}, heads={"coordinates": Head(2, "number")}), (), None).names
    ('number',)
    """
    head = answering(model)
    if head.kind == "number":
        if classes:
            raise UsageError("this model predicts a number and has no classes: remove --class")
        return Question(model, (_label_of(model),), head.kind, (0,), when)
    if not classes:
        raise UsageError(
            f"choose one of the {len(head.classes):,} classes with --class, such as"
            f" {_quoted(head.classes[:3])}"
        )
    columns = tuple(_column(head, name) for name in classes)
    if len(set(columns)) < len(columns) or len(columns) > MAX_QUERIED_CLASSES:
        raise UsageError(f"--class takes each class only once, and at most {MAX_QUERIED_CLASSES} classes")
    names = tuple(head.classes[column] for column in columns)
    if head.kind == "presence":  # classes are independent: only these are computed
        return Question(
            replace(model, heads={next(iter(model.heads)): _only(head, columns)}),
            names,
            head.kind,
            tuple(range(len(columns))),
            when,
        )
    return Question(model, names, head.kind, columns, when)


def time_for(model: Model, year: float | None = None, date: str | None = None) -> tuple[float, ...] | None:
    """The numbers of the time that a model reads, of a fraction of the year or a date; None if it reads none.

    Raises:
        UsageError: an invalid fraction or date, both or none of them, or less than the model reads.

    >>> time_for(Model({}, {})) is None
    True
    """
    if year is not None and date is not None:
        raise UsageError("--year and --date both set the time: give one of them")
    if year is not None and not 0 <= year <= 1:
        raise UsageError(f"--year must be a fraction of the year, 0 to 1; got {year:g}")
    if not model.times:
        if date is not None:
            raise UsageError("--date has no effect: the model was trained without dates")
        return None if year is None else (year,)
    if date is not None:
        try:
            return tuple(np.atleast_2d(read_moments([date], model.times))[0].tolist())
        except InputError as error:
            raise UsageError(f"--date: {error}") from error
    if year is None or model.times != ("season",):
        more = "the fraction of the year with --year, 0 to 1, or " if model.times == ("season",) else ""
        raise UsageError(
            f"this model was trained with dates ({', '.join(model.times)}): set {more}the date with --date, such as "
            "2018-06-03T14:00"
        )
    return (year,)


def answering(model: Model) -> Head:
    """The head of a model that reads only coordinates.

    Raises:
        ModelError: there is no head, or the model reads other views.
    """
    if model.head is None:
        raise ModelError(
            "this model has no head, because it was trained without labels: use placevec embed for its vectors"
        )
    if not model.bare:
        raise ModelError(
            f"this model reads {', '.join(model.specs)}: a map of predictions needs a model that reads only coordinates"
        )
    return model.head


def first_answers(
    model: Model, lonlat: Floats, years: Floats | None = None
) -> NDArray[np.int64] | NDArray[np.float32]:
    """(N,) index of the most likely class at (N, 2) degrees, or the predicted number."""
    head = answering(model)
    at_once = max(256, _MAX_NUMBERS // head.outputs)
    parts = []
    for start in range(0, len(lonlat), at_once):
        part = slice(start, start + at_once)
        answers = model.predict_lonlat(lonlat[part], None if years is None else years[part])
        parts.append(answers[:, 0] if head.kind == "number" else answers.argmax(axis=1))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def split_names(model: Model, texts: Sequence[str]) -> list[str]:
    """Class names as typed: each text is one class, or several separated by commas if no class has that name.

    >>> split_names(Model({}, {}, heads={"coordinates": Head(2, "presence", ["a", "b", "c, d"])}), ["a,b", "c, d"])
    ['a', 'b', 'c, d']
    """
    known = set(() if model.head is None else model.head.classes)
    found = []
    for text in texts:
        found += [text] if text in known else [part.strip() for part in text.split(",") if part.strip()]
    return found


def wrapped(lonlat: Floats) -> Floats:
    """The same points with longitudes from -180 to 180.

    >>> wrapped(np.array([[190.0, 5.0], [180.0, 0.0]])).tolist()
    [[-170.0, 5.0], [180.0, 0.0]]
    """
    lon = lonlat[:, 0]
    outside = np.abs(lon) > 180.0
    if not outside.any():
        return lonlat
    return np.stack((np.where(outside, (lon + 180.0) % 360.0 - 180.0, lon), lonlat[:, 1]), axis=1)


def _label_of(model: Model) -> str:
    """Name of the number: the column that it was learned from, if the training record has it."""
    label = model.training.get("label")
    return label if isinstance(label, str) and label.strip() else NUMBER


def _column(head: Head, name: str) -> int:
    if name in head.classes:
        return head.classes.index(name)
    alike = [column for column, known in enumerate(head.classes) if known.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(name, head.classes[:_MAX_COMPARED], n=3, cutoff=0.5)
    hint = f"did you mean {_quoted(near)}?" if near else f"its classes are {_quoted(head.classes[:5])}"
    more = f" and {len(head.classes) - 5:,} more" if not near and len(head.classes) > 5 else ""
    if any("," in known for known in near):
        more = " Pass a name that contains a comma in a --class option of its own"
    raise UsageError(f"the model has no class {_quoted([name])}; {hint}{more}")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(printable(name)[:60]) for name in names)


def _only(head: Head, columns: Sequence[int]) -> Head:
    """A head with a subset of the classes and their weights."""
    few = Head(
        head.dim, head.kind, [head.classes[column] for column in columns], bias=head.linear.bias is not None
    )
    with torch.no_grad():
        few.linear.weight.copy_(head.linear.weight[list(columns)])
        if head.linear.bias is not None:
            few.linear.bias.copy_(head.linear.bias[list(columns)])
    if head.reliability is not None:
        few.reliability = head.reliability.only(list(columns))
    return few.eval()
