"""Preparing for Where2Vec: entities of an extract and their texts, and a map around them where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from placevec.errors import UsageError
from placevec.options import flag_of, option
from placevec.preparation.chips.options import SatelliteOptions
from placevec.preparation.options import AreaOptions
from placevec.preparation.wikidata.options import WikidataOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress

_OF_MAPS = ("layers", "zoom")
_BANDS = SatelliteOptions().bands


@dataclass(frozen=True)
class NamedOptions(AreaOptions):
    """Named entities of an extract and their texts, and a map around them; or a table of chips and texts.

    Raises:
        UsageError: an option of maps without ``--map``, or of a table without it.
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
        None, "Side of the places of a new dataset, meters (default: points without a size)", above=0
    )
    map: bool = option(
        False,
        "Also draw the map around the places from the extract (required for training on a map)",
        group="Map",
    )
    table: Path | None = option(
        None,
        "Table of chips and their texts instead of an extract, such as multimodal_dataset.csv of the original "
        "Where2Vec (obs_id,"
        " entity_id, entity_type, chip_path, text)",
        group="Table of chips and texts",
    )
    chips: Path | None = option(
        None, "Folder of the chips that --table names: .npz or GeoTIFF", group="Table of chips and texts"
    )
    layers: Path | None = option(
        None, "Layer table of the map, TOML (default: the twelve layers)", group="Map"
    )
    zoom: int | None = option(None, "Zoom at which the map is stored (default 17)", group="Map")
    workers: int = option(1, "Number of processes that draw the map", min=1, group="Map")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _OF_MAPS:
            if not self.map and getattr(self, name) is not None:
                raise UsageError(f"{flag_of(name)} applies to the map: add --map")
        if self.chips is not None and self.table is None:
            raise UsageError("--chips applies to the chips of a table: add --table")


@dataclass(frozen=True)
class EntityOptions(SatelliteOptions, WikidataOptions, NamedOptions):
    """Named entities of an extract with texts of Wikidata, maps and chips around them; or existing chips.

    Raises:
        UsageError: sources that do not go together, or an option without its source.
    """

    GROUP: ClassVar[str] = "Existing chips"

    images: tuple[Path, ...] = option(
        (),
        "Folder or zip file of existing chips, GeoTIFF or .npz, matched to existing places by file name, or making "
        "up the places of a new dataset"
        " (instead of --satellite; may be repeated)",
    )
    attribution: str | None = option(None, "Attribution that the chips require (default: Copernicus's)")
    folder_words: bool = option(
        False, "Use the names of the chips' folders as classes and texts of the places"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images and self.satellite:
            raise UsageError("give either scenes (--satellite) or existing chips (--images), not both")
        for name in ("folder_words", "attribution"):
            if not self.images and getattr(self, name):
                raise UsageError(f"{flag_of(name)} applies to existing chips: it needs --images")
        if not (self.images or self.satellite) and self.bands != _BANDS:
            raise UsageError("--bands applies to chips: it needs --satellite or --images")
        others = ("osm", "osm_name", "types", "size_m", "wikidata", "map", "satellite", "images")
        if self.table is not None and (wrong := [name for name in others if getattr(self, name)]):
            raise UsageError(f"--table makes a dataset of its own: {flag_of(wrong[0])} does not apply to it")

    @property
    def adds_only(self) -> bool:
        """Whether nothing but texts of Wikidata or chips are asked for, which the entities that are there can have."""
        others = (self.osm, self.osm_name, self.types, self.size_m, self.area())
        asked = self.wikidata is not None or bool(self.satellite)
        return asked and not self.map and all(one is None for one in others)


def prepare(out: Path, options: EntityOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset of entities, or add what is asked for to one that is there: entities and texts, a map, chips."""
    from placevec.preparation import entities
    from placevec.preparation.chips import satellite
    from placevec.preparation.wikidata.add import add_wikidata

    when: dict[str, Any] = {"created": created, "progress": progress}
    if options.table is not None:
        from placevec.preparation.described.read import prepare as of_table

        return of_table(out, options.table, options.chips, **when)
    dataset = _of_images(out, options, **when) if options.images else _there(out, options)
    if dataset is None or options.osm is not None or options.osm_name is not None:
        dataset = entities.prepare(
            out, osm=options.osm, osm_name=options.osm_name, types=options.types, area=options.area(),
            size_m=options.size_m, **when,
        )  # fmt: skip
    if options.wikidata is not None:
        dataset = add_wikidata(dataset, options, **when)
    if options.map:
        dataset = _with_map(out, dataset, options, **when)
    return satellite.prepare(dataset, options, **when) if options.satellite else dataset


def _there(out: Path, options: EntityOptions) -> Dataset | None:
    """The dataset that is there, which only gets more texts or chips; without entities, there is nothing to describe."""
    from placevec.datasets.entities import has_entities
    from placevec.datasets.writer import begun

    found = begun(out) if options.adds_only else None
    if found is None or options.satellite or has_entities(found):
        return found
    return None


def _of_images(out: Path, options: EntityOptions, *, created: str, progress: Progress) -> Dataset:
    """Existing chips of the places, or of new ones, with the names of their folders where they are asked for."""
    from placevec.preparation.chips import folder_words, images, satellite
    from placevec.preparation.points.options import FOLDER, ImageOptions

    given = ImageOptions(
        images=options.images, bands=None if options.bands == _BANDS else options.bands, size_m=options.size_m,
        label=FOLDER if options.folder_words else None, attribution=options.attribution or satellite.ATTRIBUTION,
    )  # fmt: skip
    dataset = images.prepare_view(out, given, satellite.NAME, created=created, progress=progress)
    if not options.folder_words:
        return dataset
    return folder_words.add_words(dataset, created=created, progress=progress)


def _with_map(
    out: Path, dataset: Dataset, options: EntityOptions, *, created: str, progress: Progress
) -> Dataset:
    from placevec.preparation import map as maps
    from placevec.preparation.options import MapOptions

    if dataset.base_map is not None and all(getattr(options, name) is None for name in _OF_MAPS):
        progress.say(f"{out} already has a map: {dataset.base_map}")
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
    return "add a map with the same command and --map"
