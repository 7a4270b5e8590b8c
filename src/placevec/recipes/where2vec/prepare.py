"""Preparing for Where2Vec: entities of an extract and their texts, and a map around them where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from placevec.errors import UsageError
from placevec.options import flag_of, option
from placevec.preparation.options import AreaOptions
from placevec.preparation.wikidata.options import WikidataOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress

_OF_MAPS = ("layers", "zoom")


@dataclass(frozen=True)
class EntityOptions(WikidataOptions, AreaOptions):
    """Named things of an extract and what is said of them.

    Raises:
        UsageError: an option of maps without ``--map``.
    """

    GROUP: ClassVar[str] = "OpenStreetMap extract"

    osm: Path | None = option(None, "Extract: .osm.pbf, .osm, .osm.gz or .osm.bz2")
    osm_name: str | None = option(
        None, "Name of an extract to download, such as Monaco (helsinki-center is embedded)"
    )
    types: str | None = option(
        None, "Types of entities: a TOML table, or founding (water, forest, farmland) (default: all types)"
    )
    size_m: float | None = option(
        None, "Side of a place, meters, of a new dataset (default: points of no size)", above=0
    )
    table: Path | None = option(
        None,
        "Table of chips and their texts instead of an extract, such as the original's multimodal_dataset.csv (obs_id,"
        " entity_id, entity_type, chip_path, text)",
        group="Table of chips and texts",
    )
    chips: Path | None = option(
        None, "Folder of the chips that --table names: .npz or GeoTIFF", group="Table of chips and texts"
    )
    map: bool = option(False, "Map of the extract drawn around the places too", group="Map")
    layers: Path | None = option(
        None, "Layer table of the map, TOML (default: the twelve layers)", group="Map"
    )
    zoom: int | None = option(None, "Zoom whose pixels are stored (default 17)", group="Map")
    workers: int = option(1, "Processes that draw", min=1, group="Map")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _OF_MAPS:
            if not self.map and getattr(self, name) is not None:
                raise UsageError(f"{flag_of(name)} is about the map: it needs --map")

        if self.chips is not None and self.table is None:
            raise UsageError("--chips is about the chips of a table: it needs --table")
        others = ("osm", "osm_name", "types", "size_m", "wikidata", "map")
        if self.table is not None and (wrong := [name for name in others if getattr(self, name)]):
            raise UsageError(f"--table is a dataset of its own: {flag_of(wrong[0])} does not apply to it")

    @property
    def of_wikidata_alone(self) -> bool:
        """Whether nothing but Wikidata is asked for, which the entities that are there can have."""
        others = (self.osm, self.osm_name, self.types, self.size_m, self.area())
        return self.wikidata is not None and not self.map and all(one is None for one in others)


def _there(out: Path) -> Dataset | None:
    """A dataset with entities, or None."""
    from placevec.datasets.entities import has_entities
    from placevec.datasets.writer import begun

    found = begun(out)
    return found if found is not None and has_entities(found) else None


def prepare(out: Path, options: EntityOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset of entities, or add them and their texts to one that is there; then the map, if it is asked for."""
    from placevec.preparation import entities
    from placevec.preparation import map as maps
    from placevec.preparation.options import MapOptions
    from placevec.preparation.wikidata.add import add_wikidata

    if options.table is not None:
        from placevec.preparation.described.read import prepare as of_table

        return of_table(out, options.table, options.chips, created=created, progress=progress)
    dataset = _there(out) if options.of_wikidata_alone else None
    if dataset is None:
        dataset = entities.prepare(
            out, osm=options.osm, osm_name=options.osm_name, types=options.types, area=options.area(),
            size_m=options.size_m, created=created, progress=progress,
        )  # fmt: skip
    if options.wikidata is not None:
        dataset = add_wikidata(dataset, options, created=created, progress=progress)
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
