"""A benchmark in its authors' own files becomes a dataset, with predictions of image classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.datasets.layout import source_entry
from placevec.io import atomic
from placevec.preparation.points.build import PREDICTIONS, LabeledPoints
from placevec.preparation.points.label_schema import Decided, decide
from placevec.preparation.points.options import PointOptions
from placevec.preparation.points.split import SplitPlan
from placevec.preparation.points.stage import Staged
from placevec.sources.benchmarks import read_layout
from placevec.sources.imagery.classifier_predictions import read_predictions, write_predictions


def layout_points(layout: str, folder: Path, options: PointOptions) -> LabeledPoints:
    """The points in a folder of `placevec.sources.benchmarks.LAYOUTS`.

    Photos without coordinates are left out of training and kept for validation and test, where the image can be used.
    All classes are kept, even those without training rows, so that columns of predictions are class indices.
    """
    read = read_layout(layout, folder, meta=options.meta, features=options.features)
    plan = SplitPlan(given=True)
    predictions = {part.split: part.predictions for part in read.parts if part.predictions is not None}
    sizes = {part.split: len(part.ids) for part in read.parts}
    matrices = {
        split: read_predictions(path, (sizes[split], len(read.classes)))
        for split, path in predictions.items()
    }  # checked before anything is written
    hashes = {path.name: atomic.sha256_of_file(path) for path in [*read.files, *predictions.values()]}
    inputs = {
        "layout": layout, "files": hashes, "meta": options.meta, "features": options.features,
        "size_m": options.size_m, "attribution": options.attribution,
    }  # fmt: skip
    sources = [
        source_entry(
            f"layout {layout}", layout, [path], path=path.name, sha256=hashes[path.name],
            attribution=options.attribution or read.credit,
        )
        for path in [*read.files, *predictions.values()]
    ]  # fmt: skip

    def labels_of(staged: Staged) -> Decided:
        return decide(
            staged, "class", asked="classes", fixed=read.classes, plan=plan, min_per_class=1, one_class=False,
            refuse_unseen=False,
        )  # fmt: skip

    def with_predictions(directory: Path) -> dict[str, Any]:
        (directory / PREDICTIONS).mkdir(exist_ok=True) if matrices else None
        files = {
            split: {
                "file": f"{PREDICTIONS}/{write_predictions(matrix, directory / PREDICTIONS, split)}",
                "sha256": hashes[predictions[split].name],
            }
            for split, matrix in matrices.items()
        }
        return {"image_predictions": files} if files else {}

    return LabeledPoints(
        read, "layout", inputs, sources, plan, "class", labels_of, with_predictions, keep_unplaced=True,
        notes=_notes(read.notes, list(matrices), sizes), size_m=options.size_m,
    )  # fmt: skip


def _notes(notes: list[str], found: list[str], sizes: dict[str, int]) -> list[str]:
    lacking = [split for split in sizes if split not in found and split != "train"]
    if lacking:
        return [
            *notes,
            f"there are no image predictions for {' and '.join(lacking)}: only coordinates will be evaluated",
        ]
    return notes
