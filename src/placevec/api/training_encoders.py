"""`train_encoders`: one recipe with one location encoder after the other, to compare them."""

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
    preset: str = RunOptions.preset,
    validation: Dataset | PathLike | Sequence[Dataset | PathLike] | None = None,
    resume: bool = False,
    force: bool = False,
    projector: int = RunOptions.projector,
    progress: Progress = SILENT,
    **options: Any,
) -> list[TrainedEncoder]:
    """Train a recipe with each of its encoders, into a folder of ``out`` each, and compare what they achieve.

    Args:
        recipe: one that has several encoders for the same data, such as ``sphere2vec``.
        dataset: as of `train`.
        out: folder of runs, named by their encoders.
        encoders: their names; None takes all that the preset and the other options allow.
        preset: as of `train`; with that of a data set every encoder has its own hyper-parameters.
        validation: as of `train`.
        resume: as of `train`; finished runs are kept.
        force: as of `train`.
        projector: as of `train`.
        progress: where to report.
        options: of the recipe; those of an encoder's features reach the encoders that have them.

    Raises:
        UsageError: a recipe with one encoder, and as `train`.
    """
    from placevec.recipes import recipe as entry_of
    from placevec.training.log import read_metrics

    entry = entry_of(recipe)
    named = [options] if encoders is None else [{**options, "encoder": name} for name in encoders]
    each = [one for given in named for one in entry.each_encoder(preset, given)]
    if not each:
        raise UsageError(
            f"{recipe} has no encoders to compare: --encoder all is of recipes with several for the same data"
        )
    found = []
    for name, own in each:
        progress.say(f"Encoder {name}")
        began, run = time.monotonic(), Path(out) / name
        model = train(
            recipe, dataset, out=run, preset=preset, validation=validation, resume=resume, force=force,
            projector=projector, progress=progress, **own,
        )  # fmt: skip
        rows = read_metrics(run)
        best = _best(rows)
        found.append(TrainedEncoder(name, run, model.parameters, len(rows), time.monotonic() - began, best))
    return found


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What the validation said when its loss was lowest, which is when the weights were kept."""
    key, prefix = "validation/loss", "validation/"
    measured = [row for row in rows if isinstance(row.get(key), float)]
    if not measured:
        return {}
    best = min(measured, key=lambda row: float(row[key]))
    return {name[len(prefix) :]: value for name, value in best.items() if name.startswith(prefix)}
