"""``placevec picture``: location encoders and their trainings as still pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from placevec.api.plotting import picture_curves, picture_kernels, picture_latitude
from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import taking_keywords_of

HELP = """\
kernels: how alike each finds every place on Earth and one (--at lon,lat), on a globe and by distance; of
runs their vectors, of named encoders their features. latitude: how good runs are by latitude, on places
held out of training. curves: how loss and a further measure of runs went.

For example:

  placevec picture kernels xyz grid sphereC+ --at 179.5,-17 --out kernels.png

  placevec picture kernels grid sphereC --variant original --r-min 0.1 --out original.png

  placevec picture latitude runs/grid runs/sphereC+ --out latitude.png

  placevec picture curves runs/grid runs/sphereC+ --out curves.png"""
COMMANDS = "Pictures"
_PICTURES: dict[str, tuple[Callable[..., Any], str]] = {
    "kernels": (picture_kernels, "Draw how alike encoders find every place on Earth and one."),
    "latitude": (picture_latitude, "Draw how good runs are by latitude."),
    "curves": (picture_curves, "Draw how the loss and a further measure of runs went."),
}


def commands(words: Sequence[str]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(name, help, function) of the picture that ``words`` begin with, or of each."""
    for name in [words[0]] if words and words[0] in _PICTURES else _PICTURES:
        function, help = _PICTURES[name]
        yield name, help, taking_keywords_of(function, draw=function)(picture)


def picture(
    *runs: str,
    out: Path,
    draw: Callable[..., Any],
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Say what was written.

    Args:
        runs: Runs; for kernels also names of location encoders.
    """
    progress = {} if draw is picture_curves else {"progress": progress_for(as_json, quiet)}
    found = draw(list(runs), out, **progress, **options)
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")
