"""One sentence a chip, for the founding system's table: of a name of its place, drawn once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.sentences.templated import NAMES, TemplatedTexts
from placevec.datasets.sentences.templates import Templates
from placevec.datasets.views.text import KIND
from placevec.errors import DatasetError


class OneSentence:
    """The sentence that describes a place's chip.

    Args:
        dataset: with texts.
        templates: the sentences; None takes names as they are.
        languages: of the names; empty for all.
        seed: of the draws.

    Raises:
        DatasetError: the dataset has no texts.
    """

    def __init__(
        self, dataset: Dataset, templates: Templates | None, languages: Sequence[str] = (), seed: int = 0
    ) -> None:
        views = [name for name in dataset.view_names if dataset.spec(name).kind == KIND]
        if not views:
            raise DatasetError(
                f"{dataset.path} has no texts: prepare it with entities, or from a table of texts, first"
            )
        self._seed, self._plain, self._languages = seed, templates is None, frozenset(languages)
        self._texts = TemplatedTexts(dataset.view(views[0]), dataset, templates or Templates(()), languages)
        labels = dataset.labels() if dataset.has_labels else None
        is_class = labels is not None and labels.kind == "classes"
        self._labels = labels if is_class else None

    def __call__(self, row: int, number: int) -> tuple[str, str, str] | None:
        """(entity, type, text) of a place's chip; None where nothing is said of it."""
        there = self._texts.of(row)
        wanted = [
            at for at, one in enumerate(there)
            if not self._languages or one.language is None or one.language in self._languages
        ]  # fmt: skip
        if not wanted:
            return None
        which = [at for at in wanted if there[at].kind in NAMES] or wanted
        state = np.random.SeedSequence([self._seed, row, number]).generate_state(2, np.uint64).tolist()
        at = which[state[0] % len(which)]
        text = self._texts.said(row, at, 0 if self._plain else state[1] // 4 + 1)
        entity = there[at].entity
        kind = self._texts.type_of(row, entity)
        if not kind and self._labels is not None and self._labels.values[row] >= 0:
            kind = self._labels.classes[int(self._labels.values[row])]
        return entity or self._texts.place(row), kind, text
