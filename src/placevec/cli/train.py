"""``placevec train``: trains a recipe on a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.training import leads
from placevec.api.training import train as training
from placevec.cli.output import print_json, print_table, progress_for, remark, say
from placevec.cli.recipe_commands import entries, given_options
from placevec.cli.signature import taking_keywords_of
from placevec.errors import InputError
from placevec.options import Options, options_of
from placevec.recipes.base import RecipeEntry, RunOptions

if TYPE_CHECKING:
    from placevec.api.training_encoders import TrainedEncoder
    from placevec.models.model import Model

HELP = """\
The run directory holds the model with the best validation loss, metrics.jsonl, TensorBoard events and the state for
--resume. A resumed run gives exactly the result of an uninterrupted one. `tensorboard --logdir RUN` shows losses,
distances, the learning rate and the effective rank. `placevec train RECIPE --help` lists the options of a recipe."""
_EVERY = "all"
"""Value of --encoder for all encoders."""
COMMANDS = "Recipes"


def commands(words: Sequence[str]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(name, help, function) of the recipe at the start of ``words``, or of each."""
    for entry in entries(words):
        parts = [f"Train {entry.name}: {entry.summary}."]
        parts.append(
            "Presets:\n\n" + "\n".join(f"  {name:<20} {one.summary}" for name, one in entry.presets.items())
        )
        if entry.train_examples:
            parts.append("For example:\n\n" + "\n\n".join(f"  {line}" for line in entry.train_examples))
        yield entry.name, "\n\n".join(parts), _command(entry)


def _command(entry: RecipeEntry) -> Callable[..., Any]:
    of_runs = [one.name for one in options_of(RunOptions)]
    return taking_keywords_of(training, *map(options_of, _options(entry)), without=of_runs, entry=entry)(
        train
    )


def _options(entry: RecipeEntry) -> tuple[type[Options], ...]:
    return (RunOptions, *entry.train_options)


def train(
    *dataset: Path,
    entry: RecipeEntry,
    out: Path,
    config: Path | None = None,
    resume: bool = False,
    resume_from: Path | None = None,
    force: bool = False,
    wait: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Call `placevec.api.train` and print where the model is.

    Args:
        dataset: Dataset directory; several are trained on together.
        config: TOML file of options, named as shown here but with underscores.
    """
    from placevec import api

    for path in dataset:
        _check(path, entry)
    every = options.get("encoder") == _EVERY
    if every:
        del options["encoder"]
    given = given_options(entry, "train", _options(entry), options, config)
    given = {**given, "validation": list(given.get("validation", ())) or None}
    asked: dict[str, Any] = {
        "out": out,
        "resume": resume,
        "force": force,
        "wait": wait,
        "progress": progress_for(as_json, quiet or not leads()),
    }
    if every or given.get("encoder") == _EVERY:
        if resume_from is not None:
            raise InputError("several encoders are resumed from their newest states: use --resume")
        given = {name: value for name, value in given.items() if name != "encoder"}
        trained = api.train_encoders(entry.name, dataset, **asked, **given)
        if leads():
            _show_all(trained, as_json, quiet)
        return
    model = api.train(entry.name, dataset, resume_from=resume_from, **asked, **given)
    if not leads():
        return
    if as_json:
        from placevec.training.log import read_metrics

        print_json({"run": str(out), "hash": model.hash, **model.config(), "metrics": read_metrics(out)[-1:]})
        return
    lengths = " or ".join(str(length) for length in sorted(set(model.dims.values())))
    say(f"{model.parameters:,} parameters, vectors of {lengths} dimensions: {out}")
    _say_kept(out, model, quiet)
    if not quiet:
        _say_next(entry, dataset, out, model)


def _check(path: Path, entry: RecipeEntry) -> None:
    """InputError for a path that is not a dataset, but is often taken for one."""
    if path.is_file():
        made = f"placevec prepare {entry.name} {entry.from_file.format(path=path)} --out DATASET"
        raise InputError(f"{path} is a file, not a dataset: prepare it first, with {made}")
    if (path / "state.json").exists() or (path / "state").is_dir():
        raise InputError(
            f"{path} is a run or checkpoint, not a dataset: continue it with --resume-from {path}"
        )


def _say_next(entry: RecipeEntry, dataset: Sequence[Path], out: Path, model: Model) -> None:
    if model.head is not None:
        say(f"Next: placevec evaluate {out}    placevec embed {out} POINTS.csv -o E.parquet")
        return
    if len(dataset) == 1 and not model.trained_labels:
        say(f"Next: placevec embed {out} {dataset[0]} -o E.parquet")
        return
    source = entry.from_file.format(path="OTHER.osm.pbf")
    say(f"It was trained on {' and '.join(map(str, dataset))}: evaluate it on other areas.")
    say(
        f"Next: placevec prepare {entry.name} {source} --out OTHER    placevec embed {out} OTHER -o E.parquet"
    )


def _say_kept(run: Path, model: Model, quiet: bool) -> None:
    """Print the epoch of the weights, and remedies if the model overfits after it."""
    from placevec.training.best_epoch import read_best_epoch

    kept = read_best_epoch(run)
    if kept is None:
        return
    say(f"Kept: {kept}")
    if quiet or not kept.overfitted:
        return
    remedies = ["fewer --epochs"]
    if model.head is not None:
        from placevec.encoders.locations.names import feature_options

        about = model.recipe["config"]
        remedies.append("more --dropout")
        if "r_min" in feature_options(about["encoder"], about["variant"]):
            remedies.append("a larger --r-min or fewer --scales")
    say(f"Note: the model overfits after that epoch; try {', '.join(remedies)}")


def _show_all(trained: Sequence[TrainedEncoder], as_json: bool, quiet: bool) -> None:
    """One line per encoder, with the validation metrics of its best weights."""
    if as_json:
        print_json([one.as_dict() for one in trained])
        return
    measured = list(dict.fromkeys(name for one in trained for name in one.validation))
    print_table(
        ["encoder", "parameters", *measured, "epochs", "seconds", "run"],
        [
            [
                one.encoder, one.parameters, *(one.validation.get(name, math.nan) for name in measured), one.epochs,
                one.seconds, str(one.run),
            ]
            for one in trained
        ],
    )  # fmt: skip
    remark(
        "Note: validation selected the best epoch, so its score is slightly optimistic: placevec evaluate RUN uses the"
        " test split",
        quiet,
    )
