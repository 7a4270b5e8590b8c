"""``placevec validate``: checks whether tiles or a dataset are usable, and every byte of what placevec wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.validating import validate
from placevec.cli.entities import listed
from placevec.cli.output import clean, print_facts, print_json, print_table, progress_for, say
from placevec.cli.signature import taking_keywords_of

if TYPE_CHECKING:
    from placevec.preparation.validate import Validation

HELP = """\
For tiles and datasets, prints the layers, the tiles per layer, how many coordinates all layers share, and the shapes
of a sample batch. For datasets, runs, models, tables of vectors with their indexes, and predicted rasters, verifies
every file. Prints every problem; the exit code is 1 if there is any.

For example:

  placevec validate 12_layer_tiles

  placevec validate data/malta --json

  placevec validate runs/malta"""


@taking_keywords_of(validate)
def command(path: Path, /, *, as_json: bool = False, quiet: bool = False, **options: Any) -> int:
    """Print the result."""
    found = validate(path, progress=progress_for(as_json, quiet), **options)
    if as_json:
        print_json(found.as_dict())
    else:
        show(found)
    return 0 if found.usable else 1


def show(found: Validation) -> None:
    """Print the result."""
    is_tiles, is_dataset = found.kind == "tiles", found.kind == "dataset"
    facts = {
        "is": found.kind,
        "layout": found.layout,
        "zoom": found.zoom,
        "layers": len(found.layers) or None,
        "in any layer" if is_tiles else "places" if is_dataset else "rows": found.coordinates or None,
        "in all layers" if is_tiles else "with coordinates": found.common
        if found.layers or (found.coordinates and is_dataset)
        else None,
        **found.labels,
        **_entities(found),
        **{f"{role} batch": str(tuple(shape)) for role, shape in found.batch.items()},
    }
    print_facts({name: value for name, value in facts.items() if value not in (None, "")})
    if found.layers:
        header = ["layer", "tiles" if is_tiles else "places with it", found.measure]
        rows = [[layer.name, layer.tiles, layer.set_share] for layer in found.layers]
        if any(layer.background for layer in found.layers):
            header += ["background", "threshold"]
            rows = [
                [*row, layer.background, layer.threshold]
                for row, layer in zip(rows, found.layers, strict=True)
            ]
        print_table(header, rows)
    for note in found.notes:
        say(f"Note: {clean(note, width=500)}")
    for problem in found.problems:
        say(f"Problem: {clean(problem, width=1000)}")
    if is_tiles or is_dataset:
        say("It is usable." if found.usable else "It is not usable.")
    else:
        say("No file has changed since it was written." if found.usable else "It is damaged.")


def _entities(found: Validation) -> dict[str, Any]:
    if not (about := found.entities):
        return {}
    return {
        "entities": about["count"],
        "entities with a name": about["named"],
        "entities with a Wikidata item": about["with_item"],
        "types": listed(about["types"]),
        "languages": listed(about["languages"]),
    }
