"""`train`: a recipe over one dataset, or several, becomes a model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike, dataset_of
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import FILE as SPLIT
from placevec.datasets.splits import RunSplit, read_split, write_split
from placevec.errors import ModelError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.models.heads import Head
    from placevec.models.model import Model
    from placevec.recipes.built import Built


def train(
    recipe: str,
    dataset: Dataset | PathLike | Sequence[Dataset | PathLike],
    *,
    out: PathLike,
    preset: str = "default",
    validation: Dataset | PathLike | Sequence[Dataset | PathLike] | None = None,
    resume: bool = False,
    resume_from: PathLike | None = None,
    force: bool = False,
    projector: int = 500,
    progress: Progress = SILENT,
    **options: Any,
) -> Model:
    """Train a recipe on a dataset and return the model with the best validation loss.

    Args:
        recipe: such as ``loc2vec``.
        dataset: a dataset or its directory; or several, which are trained on together.
        out: the run directory: the model, ``metrics.jsonl``, TensorBoard events and the state to resume.
        preset: of the recipe: options that go together; ``default`` has none.
        validation: a dataset to validate on, or several, instead of blocks held out of the one trained on.
        resume: go on from the newest state in ``out``, or from the start if there is none.
        resume_from: go on from a named checkpoint (``checkpoints/epoch-010``) in ``out``. ``epochs`` may then be others.
        force: remove what ``out`` holds and start afresh.
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

    from placevec.models.model import Model
    from placevec.models.reading import Reading
    from placevec.recipes import recipe as entry_of
    from placevec.recipes.unknown import unknown_option
    from placevec.training import TrainingOptions
    from placevec.training import train as run_training

    entry = entry_of(recipe)
    config, training = entry.configure(
        preset, options, unknown=lambda name: unknown_option(entry, "train", name)
    )
    TrainingOptions(**training)  # what is wrong with them is told before data is opened
    ground, judge = _ground(dataset), None if validation is None else _ground(validation)
    run, resumed = Path(out), resume if resume_from is None else Path(resume_from)
    if projector < 0:
        raise UsageError(f"the projector shows a number of places, 0 or more; got {projector}")
    if force and resumed is not False:
        raise UsageError("--resume and --resume-from go on with a run, --force removes it: give one of them")
    holds_run = _check_run(run, resume=resumed is not False, force=force)
    torch.manual_seed(int(training.get("seed", 0)))
    built = entry.built(ground, config, training, judge)
    for note in built.notes:
        progress.say(f"Note: {note}")
    encoder_of = {slot.view: slot.encoder for slot in built.recipe.slots.values()}
    readings = {name: Reading(encoder_of[name], spec) for name, spec in built.specs.items()}
    origin = {
        "dataset": ground.name,
        "dataset_path": str(ground.path.resolve()) if isinstance(ground, Dataset) else "",
        "dataset_hash": ground.hash,
        "attribution": ground.attribution,
        "areas": [part.area.as_dict() for part in _parts(ground)],
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
    fixed = {"recipe": recipe, **described, "dataset_hash": ground.hash}
    if judge is not None:
        fixed["validation_hash"] = judge.hash
    if holds_run and force:  # only now that all options have proved themselves
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    split = _split_of(built, ground, judge)
    _keep_split(split, run, _state_of(run, resumed), {**fixed, "training": asdict(built.training)})

    def save(folder: Path) -> None:
        model.save(folder)
        if folder != run:  # a named checkpoint is a model of its own
            write_split(folder, split)

    run_training(
        built.recipe, built.views, run, built.training,
        config=fixed, save=save, resume=resumed, validation_views=built.validation_views, progress=progress,
    )  # fmt: skip
    trained = Model.load(run)
    if projector:
        from placevec.explorer.tensorboard import write_projector

        write_projector(
            run / "tensorboard" / "projector", trained, _parts(ground), projector, progress=progress
        )
    return trained


def _ground(dataset: Dataset | PathLike | Sequence[Dataset | PathLike]) -> Dataset | JoinedDataset:
    """What is trained on: one dataset, or several joined."""
    if isinstance(dataset, Dataset):
        return dataset
    if isinstance(dataset, str | Path):
        return Dataset.open(dataset)
    parts = [dataset_of(part) for part in dataset]
    return parts[0] if len(parts) == 1 else JoinedDataset(parts)


def _split_of(
    built: Built, ground: Dataset | JoinedDataset, judge: Dataset | JoinedDataset | None
) -> RunSplit:
    """What the run learns from and what it keeps from itself, of every dataset."""
    split = RunSplit.of_datasets(_parts(ground), built.split)
    if judge is None or built.validation_split is None:
        return split
    return split + RunSplit.of_datasets(_parts(judge), built.validation_split)


def _parts(ground: Dataset | JoinedDataset) -> tuple[Dataset, ...]:
    return ground.parts if isinstance(ground, JoinedDataset) else (ground,)


def _state_of(run: Path, resumed: bool | Path) -> Path | None:
    """The state that a run goes on from; None where it begins."""
    from placevec.training.state import named_state, newest_state

    if isinstance(resumed, Path):
        return named_state(resumed)
    return newest_state(run / "state") if resumed else None


def _keep_split(split: RunSplit, run: Path, state: Path | None, config: dict[str, Any]) -> None:
    """Write the split of a run that begins; ModelError where a run that goes on began with another."""
    from placevec.training.state import require_config

    if state is not None:
        folder = state if (state / SPLIT).exists() else run
        before = read_split(folder)
        if before is not None and (why := before.difference(split)):
            require_config(state, config)  # an option that is another says more than what came of it
            raise ModelError(
                f"cannot resume {state}: its places were divided otherwise ({why}); use the same dataset and options, "
                "or another --out"
            )
    write_split(run, split)


def _label_of(ground: Dataset | JoinedDataset, heads: Mapping[str, Head]) -> dict[str, str]:
    """The name of the labels' column, by which answers are called; nothing where none is learned or it has no name."""
    column = ground.manifest["labels"].get("column") if heads and isinstance(ground, Dataset) else None
    return {} if column is None else {"label": column}


def _check_run(run: Path, *, resume: bool, force: bool) -> bool:
    """Whether ``run`` holds a run; ModelError when what it holds must not be touched."""
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
