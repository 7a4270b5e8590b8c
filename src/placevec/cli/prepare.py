"""``placevec prepare``: makes a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.preparing import prepare as making
from placevec.cli.output import clean, print_json, progress_for, remark, say, spelled
from placevec.cli.recipe_commands import entries, given_options
from placevec.cli.signature import taking_keywords_of
from placevec.errors import UsageError
from placevec.options import flag_of, options_of
from placevec.recipes.base import RecipeEntry

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

HELP = """\
Reads the source, creates the places and records where every byte came from. If interrupted, run the same command
again to continue; on a finished dataset, it reuses what is there. `placevec prepare RECIPE --help` lists the options
of a recipe."""

COMMANDS = "Recipes"


def commands(words: Sequence[str]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(name, help, function) of the recipe at the start of ``words``, or of each."""
    for entry in entries(words):
        examples = "\n\n".join(f"  {line}" for line in entry.prepare_examples)
        help = f"Make a dataset for {entry.name}: {entry.summary}."
        hidden = ("file",) if entry.positional is None else ()
        yield (
            entry.name,
            f"{help}\n\nFor example:\n\n{examples}" if examples else help,
            taking_keywords_of(making, options_of(entry.prepare_options), hidden=hidden, entry=entry)(
                prepare
            ),
        )


def prepare(
    file: Path | None = None,
    /,
    *,
    entry: RecipeEntry,
    out: Path,
    config: Path | None = None,
    force: bool = False,
    wait: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Call `placevec.api.prepare` and print what was made.

    Args:
        file: Table of points, instead of --points.
        config: TOML file of options, named as shown here but with underscores.
    """
    from placevec import api

    if file is not None and entry.positional is not None:
        if entry.positional in options:
            named = options[entry.positional]
            raise UsageError(f"give either {file} or {flag_of(entry.positional)} {named}, not both")
        options[entry.positional] = file
    given = given_options(entry, "prepare", [entry.prepare_options], options, config)
    progress = progress_for(as_json, quiet)
    dataset = api.prepare(entry.name, out=out, force=force, wait=wait, progress=progress, **given)
    if as_json:
        print_json({"dataset": str(out), "hash": dataset.hash, **dataset.manifest})
        return
    _show(dataset, out, quiet)
    suited = spelled(entry.suits(dataset))
    base = f"    placevec embed --model base {out} -o E.parquet" if _by_base(dataset) else ""
    train = f"placevec train {entry.name} {out} --out RUN{f' {suited}' if suited else ''}"
    missing = entry.lacks(dataset)
    first = f"{missing}, then " if missing else ""
    remark(f"Next: {first}{train}{base}", quiet)


def _show(dataset: Dataset, out: Path, quiet: bool) -> None:
    report = dataset.manifest["report"]
    if "rows" in report:
        from placevec.cli.points import show_labeled

        show_labeled(dataset, out, quiet)
        return
    if dataset.base_map is None:
        say(f"{len(dataset):,} places, views {', '.join(dataset.view_names) or 'none yet'}: {out}")
        if dataset.attribution:
            say(f"Data: {clean(dataset.attribution, width=500)}")
        return
    say(
        f"{len(dataset):,} places, {len(dataset.base_map_spec.channels)} layers at zoom {dataset.zoom}: {out}"
    )
    if report.get("broken"):
        say(f"{report['broken']:,} broken geometries were left out (listed in {out / 'dataset.json'})")
    say(f"Data: {clean(dataset.attribution, width=500)}")


def _by_base(dataset: Dataset) -> bool:
    """Whether the included model reads the dataset: it reads layers, not colors."""
    return dataset.base_map is not None and len(dataset.base_map_spec.channels) > 3
