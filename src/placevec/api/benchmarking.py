"""`benchmark_encoders`: location encoders against one another and against what needs none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.evaluation.location_encoders.run import Probe
    from placevec.evaluation.location_encoders.table import Results
    from placevec.evaluation.splits import Scheme, Split
    from placevec.evaluation.tasks import Task


def benchmark_encoders(
    out: PathLike,
    *,
    encoders: Sequence[str] | None = None,
    originals: bool = True,
    tasks: Sequence[str] | None = None,
    files: Sequence[PathLike] = (),
    label: str | None = None,
    block_m: float | None = None,
    probes: Sequence[Probe] | None = None,
    schemes: Sequence[Scheme] | None = None,
    seeds: int = 3,
    folds: int = 5,
    points: int | None = None,
    budget_s: float | None = None,
    plots: bool = True,
    progress: Progress = SILENT,
) -> Results:
    """Compare location encoders on every task, beside baselines, and write the tables; goes on where it was stopped.

    Args:
        out: folder of ``table.md``, ``results.csv``, pictures, and of the results one by one (``cells/``).
        encoders: by any name; by default all.
        originals: also their published forms, where these differ.
        tasks: names of `placevec.evaluation.location_encoders.registry.ORDER`, or ``all``, ``real``, ``synthetic``; by
            default all for which there are data, or none where ``files`` are given.
        files: tables of your own, each a task.
        label: the column to predict in them.
        block_m: side of their spatial blocks, meters; by default a tenth of their extent.
        probes: ``ridge``, ``trained``, ``kNN``; by default all.
        schemes: kinds of folds: ``blocks``, ``random``; by default both.
        seeds: shufflings.
        folds: of a shuffling.
        points: at most so many of a task; by default 5,000, or what the budget allows.
        budget_s: seconds after which nothing new is begun.
        plots: also pictures (needs Matplotlib).
        progress: where to report.

    Raises:
        UsageError: no such task, nothing to compare, or a folder of another benchmark.
        ModelError: no such encoder.
        SourceError: a table that is missing or cannot be read.
        EvaluationError: a task with too few points, blocks or classes.
    """
    from placevec.evaluation.location_encoders import registry as catalog
    from placevec.evaluation.location_encoders import results as planning
    from placevec.evaluation.location_encoders import run as running
    from placevec.evaluation.location_encoders import table
    from placevec.evaluation.location_encoders.candidates import candidates
    from placevec.evaluation.location_encoders.compare import compared
    from placevec.evaluation.location_encoders.plots import require_plots, write_plots
    from placevec.evaluation.location_encoders.real_tasks import data_folder
    from placevec.evaluation.splits import SCHEMES, task_split

    if seeds < 1 or folds < 2 or (points is not None and points < 100):
        raise UsageError("a benchmark needs at least 1 seed, 2 folds and 100 points")
    if budget_s is not None and not budget_s > 0:
        raise UsageError("a budget is a positive time")
    if plots:
        require_plots()
    out = Path(out)
    rivals = candidates(encoders, originals)
    data = data_folder()
    names = catalog.names_of(tasks, data) if tasks or not files else ()
    atomic.check_writable(out, directory=True)
    chosen_schemes = tuple(dict.fromkeys(schemes or SCHEMES))
    chosen_probes = tuple(dict.fromkeys(probes or running.PROBES))
    if not any(running.competing(rivals, probe) for probe in chosen_probes):
        raise UsageError(
            f"{', '.join(one.name for one in rivals)} has no features before it is trained: only --probes trained "
            "can compare it"
        )
    first = (len(names) + len(files)) * len(chosen_schemes) * len(rivals)
    points, folds = planning.settled(out, points=points, folds=folds, budget_s=budget_s, cells=first)

    def split(task: Task) -> list[Split]:
        return [task_split(task, scheme, folds, seed) for scheme in chosen_schemes for seed in range(seeds)]

    found = []
    with progress.task("Reading tasks", total=len(names) + len(files)) as advance:
        for name in names:
            found.append(planning.taken(catalog.task_of(name, data), points, split))
            advance(1, note=name)
        for file in files:
            found.append(planning.taken(catalog.own_task(file, label, block_m), points, split))
            advance(1, note=found[-1].name)
    if len({task.name for task in found}) < len(found):
        raise UsageError("two tasks have one name: rename a file")
    planning.keep(out, points, folds)
    held = running.Benchmark(found, rivals, out, chosen_probes, chosen_schemes, seeds, folds)
    outcome = running.run(held, budget_s=budget_s, progress=progress)
    with progress.task("Comparing", total=None):
        groups = compared(held, outcome.done)
    about = {
        "points of a task": f"at most {points:,}",
        "folds": f"{folds}, {' and '.join(chosen_schemes)}",
        "seeds": f"{seeds} asked for",
        "encoders": len(rivals),
        "data": "no data folder" if data is None and names else "the data folder" if names else "your own",
    }
    results = table.Results(groups, outcome, about)
    results.save(out)
    if plots and groups:
        write_plots(groups, out)
    return results
