"""Preparing for Where2Vec: entities of an extract and their texts, and a map around them where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from placevec.errors import UsageError
from placevec.options import flag_of, option
from placevec.preparation.options import AreaOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress

_OF_MAPS = ("layers", "zoom")


@dataclass(frozen=True)
class EntityOptions(AreaOptions):
    """Named entities of an extract and their texts.

    Raises:
        UsageError: an option of maps without ``--map``.
    """

    GROUP: ClassVar[str] = "OpenStreetMap extract"

    osm: Path | None = option(None, "Extract: .osm.pbf, .osm, .osm.gz or .osm.bz2")
    osm_name: str | None = option(
        None, "Name of an extract to download, such as Monaco (helsinki-center is included)"
    )
    types: str | None = option(
        None, "Types of entities: a TOML table, or founding (water, forest, farmland) (default: all types)"
    )
    size_m: float | None = option(
        None, "Side of the places of a new dataset, meters (default: points without size)", above=0
    )
    map: bool = option(
        False, "Also draw a map of the extract around the places, which training on a map needs", group="Map"
    )
    layers: Path | None = option(
        None, "Layer table of the map, TOML (default: the twelve layers)", group="Map"
    )
    zoom: int | None = option(None, "Zoom of the stored pixels (default 17)", group="Map")
    workers: int = option(1, "Processes for drawing", min=1, group="Map")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _OF_MAPS:
            if not self.map and getattr(self, name) is not None:
                raise UsageError(f"{flag_of(name)} applies to the map: add --map")


def prepare(out: Path, options: EntityOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset of entities, or add them and their texts to one that is there; then the map, if it is asked for."""
    from placevec.preparation import entities
    from placevec.preparation import map as maps
    from placevec.preparation.options import MapOptions

    dataset = entities.prepare(
        out, osm=options.osm, osm_name=options.osm_name, types=options.types, area=options.area(),
        size_m=options.size_m, created=created, progress=progress,
    )  # fmt: skip
    if not options.map:
        return dataset
    if dataset.base_map is not None and all(getattr(options, name) is None for name in _OF_MAPS):
        progress.say(f"{out} has a map already: {dataset.base_map}")
        return dataset
    drawn = MapOptions(
        osm=options.osm,
        osm_name=options.osm_name,
        layers=options.layers,
        zoom=options.zoom,
        workers=options.workers,
    )
    return maps.prepare(out, drawn, created=created, progress=progress)


def lacking(dataset: Dataset) -> str:
    """What a dataset of texts alone needs before it can be trained on: images of its places."""
    if any(dataset.spec(name).kind != "text" for name in dataset.view_names):
        return ""
    return (
        f"add a map, by the same command with --map or by placevec prepare loc2vec ... --out {dataset.path}"
    )
