"""The classes of chips as words for their places: a folder AnnualCrop says "annual crop"."""

from __future__ import annotations

import re
from pathlib import Path

from placevec.core import ViewSpec
from placevec.datasets.additions import LABELS_PART, Joining, Made, add, is_made, made, settled
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import source_entry
from placevec.datasets.views import text
from placevec.errors import DatasetError
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.entity_texts import WORDS, WORDS_LANGUAGE

KIND = "folder words"


def spoken(folder: str) -> str:
    """The name of a folder as words.

    >>> spoken("AnnualCrop"), spoken("SeaLake"), spoken("permanent_crop")
    ('annual crop', 'sea lake', 'permanent crop')
    """
    return " ".join(
        re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder).replace("_", " ").replace("-", " ").lower().split()
    )


def add_words(dataset: Dataset, *, created: str, progress: Progress) -> Dataset:
    """The dataset with a text for every place that has a class; DatasetError if it has no classes, or other texts."""
    labeled = made(dataset, LABELS_PART)
    if labeled is None or dataset.labels().kind != "classes":
        raise DatasetError(f"{dataset.path} has no classes whose names could serve as texts")
    of = Made(KIND, {"labels": labeled.plain().inputs})
    if is_made(dataset, text.NAME, of):
        return settled(dataset, text.NAME)
    labels = dataset.labels()
    words = [spoken(name) for name in labels.classes]

    def write(folder: Path) -> Joining:
        ids = dataset.places["place_id"].tolist()
        with atomic.replacing(folder / text.FILE) as temporary, text.TextWriter(temporary) as writer:
            writer.add(
                [
                    (str(name), WORDS_LANGUAGE, WORDS, words[value], None)
                    for name, value in zip(ids, labels.values.tolist(), strict=True)
                    if value >= 0 and words[value]
                ]
            )
            rows = writer.rows
        about = source_entry(
            KIND, "the folders of the chips", [folder / text.FILE], sha256=atomic.sha256_of_file(folder / text.FILE),
            attribution=dataset.manifest["sources"][-1]["attribution"],
        )  # fmt: skip
        spec = ViewSpec(text.NAME, text.KIND, (), text.VALUES)
        view = {"spec": spec.as_dict(), "files": [text.FILE]}
        return Joining(f"{rows:,} texts", [text.FILE], [about], views={text.NAME: view})

    return add(dataset, text.NAME, of, write, created=created, progress=progress)
