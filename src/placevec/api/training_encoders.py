"""`train_encoders`: trains a recipe with several location encoders, to compare them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike
from placevec.api.training import train
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress
from placevec.recipes.base import RunOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


@dataclass(frozen=True)
class TrainedEncoder:
    """One of several encoders that were trained in the same way.

    Attributes:
        encoder: its name.
        run: its run directory.
        parameters: number of parameters.
        epochs: number of epochs trained.
        seconds: duration of this call, without earlier ones.
        validation: metric -> value of the best weights; empty without validation.
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
    preset: str = RunOptions.preset,
    validation: Dataset | PathLike | Sequence[Dataset | PathLike] | None = None,
    resume: bool = False,
    force: bool = False,
    wait: bool = False,
    projector: int = RunOptions.projector,
    progress: Progress = SILENT,
    **options: Any,
) -> list[TrainedEncoder]:
    """Train a recipe with each of its encoders, in a subfolder of ``out`` each, and compare the results.

    Args:
        recipe: one that has several encoders for the same data, such as ``sphere2vec``.
        dataset: as in `train`.
        out: folder of runs, named after their encoders.
        encoders: their names; None uses all that the preset and the other options allow.
        preset: as in `train`; with a preset of a dataset, every encoder has its own hyperparameters.
        validation: as in `train`.
        resume: as in `train`; finished runs are kept.
        force: as in `train`.
        wait: as in `train`.
        projector: as in `train`.
        progress: receives progress reports.
        options: options of the recipe; those of features are passed to the encoders that have them.

    Raises:
        UsageError: a recipe with a single encoder, and as in `train`.
    """
    from placevec.recipes import recipe as entry_of
    from placevec.training.log import read_metrics

    entry = entry_of(recipe)
    named = [options] if encoders is None else [{**options, "encoder": name} for name in encoders]
    each = [one for given in named for one in entry.each_encoder(preset, given)]
    if not each:
        raise UsageError(
            f"{recipe} has no encoders to compare: --encoder all applies to recipes with several encoders for the "
            f"same data"
        )
    found = []
    for name, own in each:
        progress.say(f"Encoder {name}")
        began, run = time.monotonic(), Path(out) / name
        model = train(
            recipe, dataset, out=run, preset=preset, validation=validation, resume=resume, force=force,
            wait=wait, projector=projector, progress=progress, **own,
        )  # fmt: skip
        rows = read_metrics(run)
        best = _best(rows)
        found.append(TrainedEncoder(name, run, model.parameters, len(rows), time.monotonic() - began, best))
    return found


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The validation metrics at the lowest validation loss, from which the weights were kept."""
    key, prefix = "validation/loss", "validation/"
    measured = [row for row in rows if isinstance(row.get(key), float)]
    if not measured:
        return {}
    best = min(measured, key=lambda row: float(row[key]))
    return {name[len(prefix) :]: value for name, value in best.items() if name.startswith(prefix)}
