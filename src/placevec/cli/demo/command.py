"""``placevec demo``: all steps, on the included extract or on your own data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import taking
from placevec.errors import UsageError
from placevec.options import Limits

if TYPE_CHECKING:
    from placevec.cli.demo.plan import Plan
    from placevec.cli.demo.steps import Steps
    from placevec.datasets.dataset import Dataset

HELP = """\
Prepares, trains, embeds, evaluates, searches and writes a page to explore. Existing results are reused, and an
interrupted demo picks up where it stopped; --force starts over. Each step prints the command that runs it on its own.

With --osm or --tile-folder, the data is checked and a batch is loaded first. --test-only stops there, --train-only
stops after training, and --visualize-only embeds with the existing model and writes the page. An epoch has at most
10,000 places. Tiles have no labels, so only metrics without labels are computed for them.

For example:

  placevec demo

  placevec demo --osm malta.osm.pbf --epochs 20

  placevec demo --tile-folder 12_layer_tiles --test-only

  placevec demo --osm malta.osm.pbf --visualize-only --max-places 3000"""


@taking()
def command(
    *,
    osm: Path | None = None,
    tile_folder: Path | None = None,
    out: Path | None = None,
    preset: str | None = None,
    epochs: Annotated[int, Limits(min=1)] = 12,
    test_only: bool = False,
    train_only: bool = False,
    visualize_only: bool = False,
    max_places: Annotated[int, Limits(min=1)] | None = None,
    query: str | None = None,
    seed: Annotated[int, Limits(min=0)] = 0,
    force: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Call the public functions in order and show the result of each.

    Args:
        osm: Your own OpenStreetMap extract: .osm.pbf, .osm, .osm.gz or .osm.bz2.
        tile_folder: Your own folder of tiles: LAYER/z/x/y.png or tile_z_x_y.png.
        out: Directory for all output (default demo, or demo-NAME).
        preset: Training preset, such as founding or founding-rgb (default: settings that suit the size of the data).
        epochs: Number of epochs.
        test_only: Only check the data and load a batch.
        train_only: Stop after training.
        visualize_only: Only write the page, with the existing model.
        max_places: Maximum number of places drawn on the page (default: 100,000).
        query: Name of the place to search for.
        seed: Random seed.
        force: Start over.
    """
    from placevec.cli.demo.plan import embedded, of_extract, of_folder
    from placevec.cli.demo.steps import Steps

    if test_only + train_only + visualize_only > 1:
        raise UsageError("choose one of --test-only, --train-only and --visualize-only")
    if visualize_only and force:
        raise UsageError("--visualize-only uses the existing model, but --force would remove it")
    started = time.monotonic()
    if osm is not None and tile_folder is not None:
        raise UsageError("give only one source: --osm or --tile-folder")
    if osm is not None:
        plan = of_extract(osm, out, epochs, query, seed)
    elif tile_folder is not None:
        plan = of_folder(tile_folder, out, epochs, query, seed)
    else:
        plan = embedded(out, epochs, query, seed)
    plan = plan if preset is None else plan.with_preset(preset)
    checks = 0 if plan.check is None and not test_only else 1 if plan.check is None else 2
    count = {"test": checks + 1, "train": checks + 2, "page": 2, "all": checks + 6}
    part = "test" if test_only else "train" if train_only else "page" if visualize_only else "all"
    steps = Steps(
        plan, count[part], force=force, shown=not as_json, progress=progress_for(as_json, quiet)
    )  # fmt: skip
    if part == "page":
        dataset = steps.prepared()
        steps.explore(steps.embed(steps.trained(), dataset), dataset, max_places)
    else:
        dataset = _run(steps, part, checks, max_places)
    _conclude(steps, plan, dataset, time.monotonic() - started, as_json)


def _run(steps: Steps, part: str, checks: int, max_places: int | None) -> Dataset:
    """The steps of ``part``, in order."""
    if steps.plan.check is not None:
        steps.check()
    dataset = steps.prepare()
    if checks:
        steps.load(dataset)
    if part == "test":
        return dataset
    model = steps.train(dataset)
    if part == "train":
        return dataset
    table = steps.embed(model, dataset)
    steps.evaluate(table, model, dataset)
    steps.search(table, model, dataset)
    steps.explore(table, dataset, max_places)
    return dataset


def _conclude(steps: Steps, plan: Plan, dataset: Dataset, seconds: float, as_json: bool) -> None:
    """Print where the files are."""
    made = {
        "dataset": plan.dataset, "run": plan.run, "vectors": plan.table, "report": plan.report / "report.md",
    }  # fmt: skip
    there = {name: path for name, path in made.items() if path.exists()}
    if as_json:
        print_json(
            {**steps.found, "seconds": seconds, "files": {name: str(path) for name, path in there.items()}}
        )  # fmt: skip
        return
    say(f"\nData: {clean(dataset.attribution, width=500)}")
    for name, path in there.items():
        say(f"{name.capitalize()}: {path}")
    page = steps.found.get("page")
    say(f"Done in {seconds:.0f} s." + (f" Open this page in a browser:\n{page}" if page else ""))
