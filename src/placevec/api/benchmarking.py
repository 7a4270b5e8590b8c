"""`benchmark_encoders`: compares location encoders with one another and with baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from placevec.api.inputs import PathLike
from placevec.errors import UsageError
from placevec.io import atomic, jobs
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Folds, Probe
from placevec.options.durations import seconds_of

if TYPE_CHECKING:
    from placevec.evaluation.location_encoders.table import Results
    from placevec.evaluation.splits import Split
    from placevec.evaluation.tasks import Task


@checked_keywords
def benchmark_encoders(
    out: PathLike,
    *,
    encoders: Sequence[str] | None = None,
    originals: bool = True,
    tasks: Sequence[str] | None = None,
    files: Sequence[PathLike] = (),
    label: str | None = None,
    block_m: Annotated[float, Limits(min=10)] | None = None,
    probes: Sequence[Probe] | None = None,
    schemes: Sequence[Folds] | None = None,
    seeds: Annotated[int, Limits(min=1)] = 3,
    folds: Annotated[int, Limits(min=2)] = 5,
    points: Annotated[int, Limits(min=100)] | None = None,
    budget: Annotated[str | float, Reads(seconds_of)] | None = None,
    plots: bool = True,
    progress: Progress = SILENT,
) -> Results:
    """Compare location encoders on every task, with baselines, and write the tables. Continues after an interruption.

    Args:
        out: Folder of the results: table.md, results.csv, plots and, in cells/, the individual results.
        encoders: Encoders, by any of their names, separated by commas (default: all).
        originals: Also compare the published variants where they differ.
        tasks: Tasks, or groups of tasks (all, real, synthetic), separated by commas (default: all that have data, or
            none with --files).
        files: Table of your own with lon, lat and a label (may be repeated).
        label: Column to predict in --files.
        block_m: Side of the spatial blocks for --files, meters (default: a tenth of the extent).
        probes: Probes, separated by commas (default: all).
        schemes: Kinds of folds, separated by commas (default: both).
        seeds: Number of shuffles of the points.
        folds: Folds per shuffle.
        points: Maximum number of points per task (default 5000, or what the budget allows).
        budget: Time after which no new computation is started: 90s, 30m, 2h.
        plots: Also write plots, which need Matplotlib.
        progress: Receives progress reports.

    Raises:
        UsageError: an unknown task, nothing to compare, or a folder of another benchmark.
        ModelError: an unknown encoder.
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
    from placevec.evaluation.user_labels import points_task

    budget_s = seconds_of(budget)
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
            f"{', '.join(one.name for one in rivals)} has no features before training: compare it only with --probes "
            f"trained"
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
            task = points_task(file, label, block_m)
            for note in task.notes:
                progress.say(f"Note: {Path(file).name}: {note}")
            found.append(planning.taken(task, points, split))
            advance(1, note=task.name)
    if len({task.name for task in found}) < len(found):
        raise UsageError("two tasks have the same name: rename a file")
    held = running.Benchmark(found, rivals, out, chosen_probes, chosen_schemes, seeds, folds)
    begun_with = {"points": points, "folds": folds}
    with jobs.opened(out, begun_with, work=planning.folder(out), progress=progress):
        outcome = running.run(held, budget_s=budget_s, progress=progress)
    with progress.task("Comparing", total=None):
        groups = compared(held, outcome.done)
    about = {
        "points per task": f"at most {points:,}",
        "folds": f"{folds}, {' and '.join(chosen_schemes)}",
        "seeds": f"{seeds} requested",
        "encoders": len(rivals),
        "data": "no data folder" if data is None and names else "the data folder" if names else "your own",
    }
    results = table.Results(list(groups), about=about, outcome=outcome)
    results.save(out)
    if plots and groups:
        write_plots(groups, out)
    return results
