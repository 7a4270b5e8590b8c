"""``placevec picture``: static plots of location encoders, of categories and of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from placevec.api.categories import picture_categories
from placevec.api.plotting import picture_curves, picture_kernels, picture_latitude
from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import taking
from placevec.options import helps_of, keywords_of

HELP = """\
kernels: similarity of one place (--at lon,lat) to every other place on Earth, on a globe and by distance, from the
vectors of runs or the features of named encoders. latitude: quality of runs by latitude, on held-out places. curves:
loss and another metric of runs over their steps. categories: vectors of POI categories, from a run that learned them
or from a table.

For example:

  placevec picture kernels xyz grid sphereC+ --at 179.5,-17 --out kernels.png

  placevec picture kernels grid sphereC --variant original --r-min 0.1 --out original.png

  placevec picture latitude runs/grid runs/sphereC+ --out latitude.png

  placevec picture curves runs/grid runs/sphereC+ --out curves.png

  placevec picture categories runs/categories --out categories.png"""
COMMANDS = "Pictures"
_PICTURES: dict[str, tuple[Callable[..., Any], str]] = {
    "kernels": (
        picture_kernels,
        "Plot the similarity of one place to every other place on Earth, for each encoder.",
    ),
    "latitude": (picture_latitude, "Plot the quality of runs by latitude."),
    "categories": (picture_categories, "Plot the vectors of categories of points of interest."),
    "curves": (picture_curves, "Plot the loss and another metric of runs over their steps."),
}


def commands(words: Sequence[str]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(name, help, function) of the picture at the start of ``words``, or of each."""
    for name in [words[0]] if words and words[0] in _PICTURES else _PICTURES:
        function, help = _PICTURES[name]
        helps = helps_of(function)
        helps.setdefault("runs", helps.get("encoders", ""))
        yield name, help, taking(keywords_of(function), helps=helps, draw=function)(picture)


def picture(
    *runs: str,
    out: Path,
    draw: Callable[..., Any],
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Print what was written."""
    progress = {} if draw is picture_curves else {"progress": progress_for(as_json, quiet)}
    found = draw(list(runs), out, **progress, **options)
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")
