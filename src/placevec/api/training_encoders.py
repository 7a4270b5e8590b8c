"""`train_encoders`: one recipe with one location encoder after the other, to compare them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placevec.api.inputs import PathLike
from placevec.api.training import train
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress


@dataclass(frozen=True)
class TrainedEncoder:
    """One encoder of several that were trained alike.

    Attributes:
        encoder: its name.
        run: its run directory.
        parameters: number of trained numbers.
        epochs: passes done.
        seconds: of this call; what an earlier one had done is not in it.
        validation: name -> what the weights that were kept achieve there; empty without a validation.
    """

    encoder: str
    run: Path
    parameters: int
    epochs: int
    seconds: float
    validation: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**self.__dict__, "run": str(self.run)}


def train_encoders(
    recipe: str,
    dataset: Dataset | PathLike | Sequence[Dataset | PathLike],
    *,
    out: PathLike,
    encoders: Sequence[str] | None = None,
    preset: str = "default",
    progress: Progress = SILENT,
    **options: Any,
) -> list[TrainedEncoder]:
    """Train a recipe with each location encoder, into a folder of ``out`` each, and compare what they achieve.

    Args:
        recipe: ``sphere2vec``.
        dataset: as of `train`.
        out: folder of runs, named by their encoders.
        encoders: their names; None takes all that the preset and the variant know.
        preset: as of `train`; with that of a data set every encoder has its own hyper-parameters.
        progress: where to report.
        options: as of `train`, ``resume`` too: finished runs are then kept. Options of the features reach the encoders
            that have them.
    """
    from placevec.encoders.locations.names import feature_options, known_as
    from placevec.recipes.sphere2vec.config import FEATURE_OPTIONS
    from placevec.training.log import read_metrics

    if recipe != "sphere2vec":
        raise UsageError(f"only sphere2vec has several location encoders to train: {recipe} has one")
    variant = options.get("variant", "corrected")
    if not isinstance(options.get("resume", False), bool):
        raise UsageError(
            "several encoders are resumed from their newest states: --resume without a checkpoint"
        )
    found = []
    for name in _all(preset, variant) if encoders is None else map(known_as, encoders):
        there = {"cell_width" if one == "width" else one for one in feature_options(name, variant)}
        own = {key: value for key, value in options.items() if key not in FEATURE_OPTIONS or key in there}
        progress.say(f"Encoder {name}")
        began, run = time.monotonic(), Path(out) / name
        model = train(recipe, dataset, out=run, preset=preset, encoder=name, progress=progress, **own)
        rows = read_metrics(run)
        best = _best(rows)
        found.append(TrainedEncoder(name, run, model.parameters, len(rows), time.monotonic() - began, best))
    return found


def _all(preset: str, variant: str) -> Sequence[str]:
    from placevec.encoders.locations.names import FAMILIES
    from placevec.recipes.sphere2vec.presets import ENCODERS

    if preset != "default":
        return ENCODERS
    return [name for name, family in FAMILIES.items() if variant != "original" or family.original is not None]


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What the validation said when its loss was lowest, which is when the weights were kept."""
    key, prefix = "validation/loss", "validation/"
    measured = [row for row in rows if isinstance(row.get(key), float)]
    if not measured:
        return {}
    best = min(measured, key=lambda row: float(row[key]))
    return {name[len(prefix) :]: value for name, value in best.items() if name.startswith(prefix)}
