"""What is asked of a model: some of its classes, or its number, at points."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.errors import ModelError, UsageError
from placevec.geo import Floats
from placevec.io.progress import printable
from placevec.models.heads import Head, HeadKind
from placevec.models.model import Model

MAX_QUERIED_CLASSES = 64
"""Classes that can be asked for at once: bands of a raster, panels of a picture."""
_MAX_NUMBERS = 2**24
"""Answers that are held at once: points times all classes."""
_MAX_COMPARED = 20_000
NUMBER = "number"
"""What the answer of a model of numbers is called whose training record does not name its label."""


@dataclass(frozen=True)
class Question:
    """Classes of a model, or its number.

    Attributes:
        model: with a head, restricted to what is asked where that saves work.
        names: of the answers, in order: classes, or the label's name for a number.
        kind: of the head: ``presence``, ``classes`` or ``number``.
        year: share of the year passed that is asked about, of models that know seasons.
    """

    model: Model
    names: tuple[str, ...]
    kind: HeadKind
    columns: tuple[int, ...]
    year: float | None = None

    def answers(self, lonlat: Floats) -> NDArray[np.float32]:
        """(N, len(names)) float32 at (N, 2) degrees lon, lat; longitudes may lie anywhere. Memory grows with N alone.

        Raises:
            InputError: a latitude beyond a pole, or a year missing or unasked for.
        """
        assert self.model.head is not None
        at_once = max(256, _MAX_NUMBERS // self.model.head.outputs)
        parts = [np.empty((0, len(self.columns)), np.float32)]
        for start in range(0, len(lonlat), at_once):
            part = wrapped(lonlat[start : start + at_once])
            year = None if self.year is None else np.full(len(part), self.year)
            parts.append(self.model.predict_lonlat(part, year)[:, list(self.columns)])
        return np.concatenate(parts)


def ask(model: Model, classes: Sequence[str] = (), *, year: float | None = None) -> Question:
    """A question about ``classes`` of a model, in that order; of a model of numbers, about its number.

    Raises:
        ModelError: the model has no head, or reads more than coordinates.
        UsageError: no class of that name (near ones are told), the same twice, too many; classes of a model of numbers,
            or none of one with classes; a share of the year that is none.
    """
    head = answering(model)
    check_year(model, year)
    if head.kind == "number":
        if classes:
            raise UsageError("this model answers with a number and knows no classes: leave out --class")
        return Question(model, (_label_of(model),), head.kind, (0,), year)
    if not classes:
        raise UsageError(
            f"name what is asked for with --class: one of the {len(head.classes):,} classes, such as"
            f" {_quoted(head.classes[:3])}"
        )
    columns = tuple(_column(head, name) for name in classes)
    if len(set(columns)) < len(columns) or len(columns) > MAX_QUERIED_CLASSES:
        raise UsageError(f"name each class once, at most {MAX_QUERIED_CLASSES} of them with --class")
    names = tuple(head.classes[column] for column in columns)
    if head.kind == "presence":  # classes do not know of each other: only these are worked out
        return Question(
            replace(model, heads={next(iter(model.heads)): _only(head, columns)}),
            names,
            head.kind,
            tuple(range(len(columns))),
            year,
        )
    return Question(model, names, head.kind, columns, year)


def check_year(model: Model, year: float | None) -> None:
    """UsageError for a share of the year that is none, or that a model trained with dates lacks."""
    if year is not None and not 0 <= year <= 1:
        raise UsageError(f"--year is the share of the year passed, 0 to 1; got {year:g}")
    if year is None and any(getattr(module, "seasons", 0) for module in model.modules.values()):
        raise UsageError(
            "this model was trained with dates: say with --year which share of the year has passed, 0 to 1"
        )


def answering(model: Model) -> Head:
    """The head of a model that reads nothing but coordinates.

    Raises:
        ModelError: there is no head, or it reads more.
    """
    if model.head is None:
        raise ModelError(
            "this model has no head: it was trained without labels and gives vectors only (placevec embed)"
        )
    if not model.bare:
        raise ModelError(
            f"this model reads {', '.join(model.specs)}: a map needs one that reads bare coordinates"
        )
    return model.head


def first_answers(
    model: Model, lonlat: Floats, years: Floats | None = None
) -> NDArray[np.int64] | NDArray[np.float32]:
    """(N,) number of the most likely class at (N, 2) degrees, or the number that is expected."""
    head = answering(model)
    at_once = max(256, _MAX_NUMBERS // head.outputs)
    parts = []
    for start in range(0, len(lonlat), at_once):
        part = slice(start, start + at_once)
        answers = model.predict_lonlat(lonlat[part], None if years is None else years[part])
        parts.append(answers[:, 0] if head.kind == "number" else answers.argmax(axis=1))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def split_names(model: Model, texts: Sequence[str]) -> list[str]:
    """Class names as typed: each text one class, or several between commas where no class is called so.

    >>> split_names(Model({}, {}, heads={"coordinates": Head(2, "presence", ["a", "b", "c, d"])}), ["a,b", "c, d"])
    ['a', 'b', 'c, d']
    """
    known = set(() if model.head is None else model.head.classes)
    found = []
    for text in texts:
        found += [text] if text in known else [part.strip() for part in text.split(",") if part.strip()]
    return found


def wrapped(lonlat: Floats) -> Floats:
    """The same places with longitudes from -180 to 180.

    >>> wrapped(np.array([[190.0, 5.0], [180.0, 0.0]])).tolist()
    [[-170.0, 5.0], [180.0, 0.0]]
    """
    lon = lonlat[:, 0]
    outside = np.abs(lon) > 180.0
    if not outside.any():
        return lonlat
    return np.stack((np.where(outside, (lon + 180.0) % 360.0 - 180.0, lon), lonlat[:, 1]), axis=1)


def _label_of(model: Model) -> str:
    """What the number is called: the column it was learned from, where the training record says it."""
    label = model.training.get("label")
    return label if isinstance(label, str) and label.strip() else NUMBER


def _column(head: Head, name: str) -> int:
    if name in head.classes:
        return head.classes.index(name)
    alike = [column for column, known in enumerate(head.classes) if known.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(name, head.classes[:_MAX_COMPARED], n=3, cutoff=0.5)
    hint = f"did you mean {_quoted(near)}?" if near else f"there are {_quoted(head.classes[:5])}"
    more = f" and {len(head.classes) - 5:,} more" if not near and len(head.classes) > 5 else ""
    if any("," in known for known in near):
        more = " A name with a comma takes a --class of its own: repeat the option"
    raise UsageError(f"the model knows no class {_quoted([name])}; {hint}{more}")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(printable(name)[:60]) for name in names)


def _only(head: Head, columns: Sequence[int]) -> Head:
    """A head of some of the classes, with their weights."""
    few = Head(
        head.dim, head.kind, [head.classes[column] for column in columns], bias=head.linear.bias is not None
    )
    with torch.no_grad():
        few.linear.weight.copy_(head.linear.weight[list(columns)])
        if head.linear.bias is not None:
            few.linear.bias.copy_(head.linear.bias[list(columns)])
    return few.eval()
