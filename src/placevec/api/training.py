"""`train`: trains a model with a recipe on one dataset, or several."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike, dataset_of
from placevec.errors import ModelError, UsageError
from placevec.io import atomic
from placevec.io.folders import shared_path
from placevec.io.locks import locked
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.recipes.base import RunOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.joined import JoinedDataset
    from placevec.models.heads import Head
    from placevec.models.model import Model
    from placevec.options import Options
    from placevec.recipes.base import RecipeEntry


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
    wait: bool = False,
    projector: int = RunOptions.projector,
    progress: Progress = SILENT,
    **options: Any,
) -> Model:
    """Train a recipe on a dataset and return the model with the best validation loss.

    Args:
        recipe: name of the recipe, such as ``loc2vec``.
        dataset: a dataset or its directory, or several to train on together.
        out: Run directory to create, for the model, metrics.jsonl, TensorBoard events and the state to resume from.
        preset: preset of the recipe, a set of options; ``default`` has none.
        validation: one or several datasets for validation, instead of held-out blocks of the training dataset.
        resume: Continue from the newest state in --out, or start if there is none.
        resume_from: Checkpoint to continue from, such as RUN/checkpoints/epoch-010; the run continues in --out.
        force: Start over, removing the run in --out.
        wait: Wait for another process that is writing --out, instead of stopping.
        projector: places whose vectors and pictures TensorBoard's projector shows at the end, drawn at random; 0: none.
        progress: receives progress reports.
        options: any option of the recipe or of `TrainingOptions`, such as ``epochs=20``; docs/reference/options.md
            lists them, with their allowed values.

    Raises:
        UsageError: an unknown recipe, preset or option, or an invalid value.
        DatasetError: a dataset that cannot be read.
        ModelError: ``out`` holds something else, or a run that is neither resumed nor removed.
        OutputError: ``out`` cannot be written, or another process trains there.
    """
    from placevec.recipes import recipe as entry_of
    from placevec.recipes.unknown import unknown_option
    from placevec.training import TrainingOptions

    RunOptions(preset=preset, projector=projector)
    entry = entry_of(recipe)
    config, training = entry.configure(
        preset, options, unknown=lambda name: unknown_option(entry, "train", name)
    )
    TrainingOptions(**training)  # reports invalid options before data is opened
    training_data, validation_data = (
        _training_data(dataset),
        None if validation is None else _training_data(validation),
    )
    run, resumed = Path(out), resume if resume_from is None else Path(resume_from)
    if force and resumed is not False:
        raise UsageError(
            "--resume and --resume-from continue a run, but --force removes it: give only one of these options"
        )
    with locked(run, wait=wait, progress=progress) if leads() else contextlib.nullcontext():
        return _trained(
            entry, config, training, training_data, validation_data, run, resumed, force,
            projector if leads() else 0, progress if leads() else SILENT,
        )  # fmt: skip


def leads() -> bool:
    """Whether this process is the only one that trains, or the first of several that torchrun or accelerate started.

    Only that one checks and writes the run directory, and reports.
    """
    return os.environ.get("RANK", "0") == "0"


def _trained(
    entry: RecipeEntry,
    config: Options,
    training: dict[str, Any],
    training_data: Dataset | JoinedDataset,
    validation_data: Dataset | JoinedDataset | None,
    run: Path,
    resumed: bool | Path,
    force: bool,
    projector: int,
    progress: Progress,
) -> Model:
    """Train into a run directory that this process holds; see `train`."""
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
    from placevec.training import train as run_training
    from placevec.training.processes import wait_for_all
    from placevec.training.state import stored_config

    holds_run = leads() and _check_run(run, resume=resumed is not False, force=force)
    torch.manual_seed(int(training.get("seed", 0)))
    state = state_of(run, resumed)
    began = hashes_at_begin(training_data, validation_data, run, state)
    if state is not None:
        config = entry.resumed(config, stored_config(state))
    built = entry.built(training_data, config, training, validation_data)
    if validation_data is not None and built.recipe.validation is None:
        raise UsageError(f"train {entry.name} has no validation loss: remove --validation")
    say_notes(built.notes, progress)
    encoder_of = {slot.view: slot.encoder for slot in built.recipe.slots.values()}
    readings = {name: Reading(encoder_of[name], spec) for name, spec in built.specs.items()}
    origin = {
        "dataset": training_data.name,
        "dataset_path": shared_path(training_data.path) if isinstance(training_data, Dataset) else "",
        "dataset_hash": joined_hash(began[: len(parts_of(training_data))]),
        "attribution": training_data.attribution,
        "areas": [part.area.as_dict() for part in parts_of(training_data)],
        "places": built.places,
        **_pairs_of(built.recipe.sampler),
        **_label_of(training_data, built.heads),
        **({"held_out": built.split.held_out} if built.split.held_out else {}),
        **({"validation": validation_data.name} if validation_data is not None else {}),
        **built.about,
    }
    described = built.config.as_json()
    model = Model(
        built.recipe.encoders,
        readings,
        {"name": entry.name, "config": described},
        origin,
        heads=built.heads,
        fuse=built.recipe.fuse,
    )
    fixed = {
        "recipe": entry.name,
        **described,
        "dataset_hash": joined_hash(began[: len(parts_of(training_data))]),
    }
    if validation_data is not None:
        fixed["validation_hash"] = joined_hash(began[len(parts_of(training_data)) :])
    if holds_run and force:  # only after all options have been validated
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    split = split_of(built, training_data, validation_data, began)
    if leads():
        keep_split(split, run, state, {**fixed, "training": asdict(built.training)})

    def save(folder: Path) -> None:
        for _, objective in built.recipe.objectives.values():
            origin.update(objective.learned())
        model.save(folder)
        if folder != run:  # a named checkpoint is a separate model
            write_split(folder, split)

    run_training(
        built.recipe, built.views, run, built.training,
        config=fixed, save=save, resume=resumed, validation_views=built.validation_views,
        started=lambda precision, used: origin.update(precision=precision, instruction_set=used), progress=progress,
    )  # fmt: skip
    if not leads():
        wait_for_all()  # until the first process has written the model
        return Model.load(run)
    trained = Model.load(run)
    if isinstance(training_data, Dataset):
        from placevec.evaluation.predictions.reliability import add_reliability

        say_notes(add_reliability(trained, training_data), progress)
        if any(head.reliability is not None for head in trained.heads.values()):
            trained.save(run)
    if projector:
        from placevec.explorer.tensorboard import write_projector
        from placevec.training.log import record_sums

        write_projector(
            run / "tensorboard" / "projector", trained, parts_of(training_data), projector, progress=progress
        )
        record_sums(run)
    wait_for_all()
    return trained


def _training_data(dataset: Dataset | PathLike | Sequence[Dataset | PathLike]) -> Dataset | JoinedDataset:
    """The training data: one dataset, or several joined."""
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.joined import JoinedDataset

    if isinstance(dataset, Dataset | str | Path):
        return dataset_of(dataset)
    parts = [dataset_of(part) for part in dataset]
    return parts[0] if len(parts) == 1 else JoinedDataset(parts)


def _pairs_of(sampler: object) -> dict[str, float]:
    """Distance of training pairs in meters, where the sampler draws any: evaluation keeps it from tested places."""
    near_m = getattr(sampler, "near_m", None)
    return {} if near_m is None else {"near_m": float(near_m)}


def _label_of(training_data: Dataset | JoinedDataset, heads: Mapping[str, Head]) -> dict[str, str]:
    """The name of the labels' column, which names predictions; empty if nothing is learned or it has no name."""
    from placevec.datasets.dataset import Dataset

    column = (
        training_data.manifest["labels"].get("column")
        if heads and isinstance(training_data, Dataset)
        else None
    )
    return {} if column is None else {"label": column}


def _check_run(run: Path, *, resume: bool, force: bool) -> bool:
    """Whether ``run`` holds a run; ModelError if its content must not be touched."""
    from placevec.datasets.splits import FILE as SPLIT

    # the split is the first file of a run, which may have been interrupted before its first checkpoint
    holds_run = any((run / name).exists() for name in (SPLIT, "metrics.jsonl", "state", "config.json"))
    if run.is_dir() and any(run.iterdir()) and not holds_run:
        raise ModelError(f"{run} already exists and is not a run: choose another --out")
    if holds_run and not resume and not force:
        raise ModelError(f"{run} already holds a run: continue it with --resume, or start over with --force")
    atomic.check_writable(run, directory=True)
    if holds_run:
        for written in ("", "state", "checkpoints", "tensorboard", "tensorboard/projector"):
            atomic.remove_temporaries(run / written)
    return holds_run
