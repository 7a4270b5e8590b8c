"""`train`: a recipe over one dataset, or several, becomes a model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike, dataset_of
from placevec.errors import ModelError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.recipes.base import RunOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.joined import JoinedDataset
    from placevec.models.heads import Head
    from placevec.models.model import Model


def train(
    recipe: str,
    dataset: Dataset | PathLike | Sequence[Dataset | PathLike],
    *,
    out: PathLike,
    preset: str = RunOptions.preset,
    validation: Dataset | PathLike | Sequence[Dataset | PathLike] | None = None,
    resume: bool = False,
    resume_from: PathLike | None = None,
    force: bool = False,
    projector: int = RunOptions.projector,
    progress: Progress = SILENT,
    **options: Any,
) -> Model:
    """Train a recipe on a dataset and return the model with the best validation loss.

    Args:
        recipe: such as ``loc2vec``.
        dataset: a dataset or its directory; or several, which are trained on together.
        out: Run directory to make: the model, metrics.jsonl, TensorBoard events and the state to resume.
        preset: of the recipe: options that go together; ``default`` has none.
        validation: a dataset to validate on, or several, instead of blocks held out of the one trained on.
        resume: Go on from the newest state in --out, or from the start if there is none.
        resume_from: Checkpoint to go on from, such as RUN/checkpoints/epoch-010; its run goes on in --out.
        force: Start afresh, removing the run in --out.
        projector: places whose vectors and pictures TensorBoard's projector shows at the end, drawn at random; 0: none.
        progress: where to report.
        options: any option of the recipe or of `TrainingOptions`, such as ``epochs=20``; docs/reference/options.md
            names all, and what is allowed.

    Raises:
        UsageError: an unknown recipe, preset or option, or a value that does not fit.
        DatasetError: a dataset that cannot be read.
        ModelError: ``out`` holds something else, or a run that is neither resumed nor removed.
    """
    import torch

    from placevec.api.run_split import (
        hashes_at_begin,
        joined_hash,
        keep_split,
        parts_of,
        split_of,
        state_of,
    )
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.splits import write_split
    from placevec.models.model import Model
    from placevec.models.reading import Reading
    from placevec.recipes import recipe as entry_of
    from placevec.recipes.unknown import unknown_option
    from placevec.training import TrainingOptions
    from placevec.training import train as run_training

    RunOptions(preset=preset, projector=projector)
    entry = entry_of(recipe)
    config, training = entry.configure(
        preset, options, unknown=lambda name: unknown_option(entry, "train", name)
    )
    TrainingOptions(**training)  # what is wrong with them is told before data is opened
    ground, judge = _ground(dataset), None if validation is None else _ground(validation)
    run, resumed = Path(out), resume if resume_from is None else Path(resume_from)
    if force and resumed is not False:
        raise UsageError("--resume and --resume-from go on with a run, --force removes it: give one of them")
    holds_run = _check_run(run, resume=resumed is not False, force=force)
    torch.manual_seed(int(training.get("seed", 0)))
    state = state_of(run, resumed)
    began = hashes_at_begin(ground, judge, run, state)
    built = entry.built(ground, config, training, judge)
    if judge is not None and built.recipe.validation is None:
        raise UsageError(f"train {recipe} measures no validation loss: it takes no --validation")
    for note in built.notes:
        progress.say(f"Note: {note}")
    encoder_of = {slot.view: slot.encoder for slot in built.recipe.slots.values()}
    readings = {name: Reading(encoder_of[name], spec) for name, spec in built.specs.items()}
    origin = {
        "dataset": ground.name,
        "dataset_path": str(ground.path.resolve()) if isinstance(ground, Dataset) else "",
        "dataset_hash": joined_hash(began[: len(parts_of(ground))]),
        "attribution": ground.attribution,
        "areas": [part.area.as_dict() for part in parts_of(ground)],
        "places": built.places,
        **_label_of(ground, built.heads),
        **({"held_out": built.split.held_out} if built.split.held_out else {}),
        **({"validation": judge.name} if judge is not None else {}),
    }
    described = built.config.as_json()
    model = Model(
        built.recipe.encoders,
        readings,
        {"name": recipe, "config": described},
        origin,
        heads=built.heads,
        fuse=built.recipe.fuse,
    )
    fixed = {"recipe": recipe, **described, "dataset_hash": joined_hash(began[: len(parts_of(ground))])}
    if judge is not None:
        fixed["validation_hash"] = joined_hash(began[len(parts_of(ground)) :])
    if holds_run and force:  # only now that all options have proved themselves
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    split = split_of(built, ground, judge, began)
    keep_split(split, run, state, {**fixed, "training": asdict(built.training)})

    def save(folder: Path) -> None:
        model.save(folder)
        if folder != run:  # a named checkpoint is a model of its own
            write_split(folder, split)

    run_training(
        built.recipe, built.views, run, built.training,
        config=fixed, save=save, resume=resumed, validation_views=built.validation_views,
        started=lambda precision: origin.update(precision=precision), progress=progress,
    )  # fmt: skip
    trained = Model.load(run)
    if projector:
        from placevec.explorer.tensorboard import write_projector

        write_projector(
            run / "tensorboard" / "projector", trained, parts_of(ground), projector, progress=progress
        )
    return trained


def _ground(dataset: Dataset | PathLike | Sequence[Dataset | PathLike]) -> Dataset | JoinedDataset:
    """What is trained on: one dataset, or several joined."""
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.joined import JoinedDataset

    if isinstance(dataset, Dataset | str | Path):
        return dataset_of(dataset)
    parts = [dataset_of(part) for part in dataset]
    return parts[0] if len(parts) == 1 else JoinedDataset(parts)


def _label_of(ground: Dataset | JoinedDataset, heads: Mapping[str, Head]) -> dict[str, str]:
    """The name of the labels' column, by which answers are called; nothing where none is learned or it has no name."""
    from placevec.datasets.dataset import Dataset

    column = ground.manifest["labels"].get("column") if heads and isinstance(ground, Dataset) else None
    return {} if column is None else {"label": column}


def _check_run(run: Path, *, resume: bool, force: bool) -> bool:
    """Whether ``run`` holds a run; ModelError when what it holds must not be touched."""
    from placevec.datasets.splits import FILE as SPLIT

    # the split is the first thing a run writes: it may have been interrupted before its first checkpoint
    holds_run = any((run / name).exists() for name in (SPLIT, "metrics.jsonl", "state", "config.json"))
    if run.is_dir() and any(run.iterdir()) and not holds_run:
        raise ModelError(f"{run} exists and is not a run: choose another --out")
    if holds_run and not resume and not force:
        raise ModelError(f"{run} already holds a run: --resume goes on with it, --force starts afresh")
    atomic.check_writable(run, directory=True)
    if holds_run:
        for written in ("", "state", "checkpoints", "tensorboard", "tensorboard/projector"):
            atomic.remove_temporaries(run / written)
    return holds_run
