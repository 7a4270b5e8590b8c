"""``placevec info``: describes the contents of a path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.cli.entities import entity_facts
from placevec.cli.output import print_facts, print_json
from placevec.cli.points import label_facts
from placevec.cli.signature import taking
from placevec.errors import InputError

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Provenance
    from placevec.models.model import Model

HELP = """\
For example:

  placevec info data/malta"""


@taking()
def command(path: Path, /, *, as_json: bool = False) -> None:
    """Recognize the contents of a path and describe them.

    Args:
        path: Path to describe.
    """
    content = describe(path)
    if as_json:
        print_json(content)
        return
    print_facts(content)


def describe(path: Path) -> dict[str, Any]:
    """Facts about a path; InputError if its contents are unknown."""
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        if (path / "config.json").exists():
            return _model(path)
        return _dataset(path)
    if path.suffix == ".parquet":
        return _embeddings(path)
    if ".osm" in path.suffixes or path.suffix in (".pbf", ".osm"):
        return _extract(path)
    raise InputError(f"{path} is not a dataset, run, table of vectors (.parquet) or OSM extract")


def _dataset(path: Path) -> dict[str, Any]:
    from placevec.datasets.additions import unfinished
    from placevec.datasets.dataset import Dataset

    dataset = Dataset.open(path)
    manifest = dataset.manifest
    has_map = dataset.base_map is not None
    return {
        "is": "dataset",
        "name": dataset.name,
        "places": len(dataset),
        "grid": manifest["places"]["grid"],
        **_footprint(dataset),
        "bounds": _rounded(dataset.area.bounds),
        "views": list(dataset.view_names),
        **_held(dataset),
        **({"layers": list(dataset.base_map_spec.channels), "zoom": dataset.zoom} if has_map else {}),
        **label_facts(dataset),
        **entity_facts(dataset),
        **({"unfinished additions": begun} if (begun := unfinished(path)) else {}),
        "created": manifest.get("created", "unknown"),
        "attribution": dataset.attribution,
        "hash": dataset.hash,
    }


def _held(dataset: Dataset) -> dict[str, Any]:
    """Counts of what the views hold, and the views that need a package that is not installed, or cannot be loaded."""
    from placevec.datasets.views.registry import Reader, reader_of
    from placevec.errors import PlacevecError

    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name in dataset.view_names:
        try:
            reader = reader_of(dataset.spec(name))
            if type(reader).holds is not Reader.holds:
                counts.update(reader.holds(dataset.view(name)))
        except PlacevecError as error:
            found[name] = str(error)
    return {**counts, **({"views that cannot be read": list(found.values())} if found else {})}


def _footprint(dataset: Dataset) -> dict[str, Any]:
    """Size of the places on the ground; points have none, and the window read around them is named as such."""
    side = round(dataset.footprint_m, 1)
    places = dataset.manifest["places"]
    if places["size_m"] is not None or places["zoom"] is not None:
        return {"footprint_m": side}
    return {"footprint_m": 0.0, **({"map window_m": side} if side else {})}


def _rounded(bounds: Sequence[float]) -> list[float]:
    """West, south, east, north, rounded to about a tenth of a meter."""
    return [round(edge, 6) for edge in bounds]


def _model(path: Path) -> dict[str, Any]:
    from placevec.models.model import Model
    from placevec.training.log import read_metrics

    model = Model.load(path)
    metrics = read_metrics(path)
    return {
        "is": "model",
        "recipe": model.recipe.get("name"),
        "dim": model.dim if len(set(model.dims.values())) == 1 else model.dims,
        "parameters": model.parameters,
        **_read_by(model),
        "trained_on": model.training.get("dataset"),
        "steps": metrics[-1]["step"] if metrics else None,
        "attribution": model.training.get("attribution"),
        "hash": model.hash,
    }


def _read_by(model: Model) -> dict[str, Any]:
    """What a model reads, with which encoders, and what it predicts."""
    from placevec.datasets.views.registry import reader_of

    facts: dict[str, Any] = {
        "reads": [f"{name}: {reader_of(spec).shows(spec)}" for name, spec in model.specs.items()]
    }
    encoders = {
        name: getattr(module, "encoder", type(module).__name__) for name, module in model.modules.items()
    }
    facts["encoder"] = encoders if len(encoders) > 1 else next(iter(encoders.values()))
    if model.fuse is not None:
        facts["fuses"] = list(model.fuse.views)
    for spec in model.specs.values():
        if spec.channels:
            facts[f"{spec.name} {reader_of(spec).words}s"] = list(spec.channels)
    if model.dropped:
        facts["layers left out"] = list(model.dropped)
    for view, head in model.heads.items():
        of_view = f" of {view}" if len(model.heads) > 1 else ""
        facts |= {f"predicts{of_view}": head.kind, f"classes{of_view}": list(head.classes)}
    return facts


def _embeddings(path: Path) -> dict[str, Any]:
    from placevec.embeddings import load

    table = load(path)
    provenance = table.provenance
    tables = [table.of(view) for view in table.views]
    return {
        "is": "embeddings",
        "count": len(table),
        "views": {one.view: {"count": len(one), "dim": one.dim} for one in tables},
        **_published(provenance),
        "model_hash": provenance.model_hash,
        "model_path": provenance.model_path,
        "dataset_hash": provenance.dataset_hash,
        "dataset_path": provenance.dataset_path,
        "created": provenance.created,
        "attribution": provenance.attribution,
    }


def _published(provenance: Provenance) -> dict[str, str]:
    """What others published the vectors as."""
    told = {"source": provenance.source, "version": provenance.version, "license": provenance.license}
    return {name: value for name, value in told.items() if value}


def _extract(path: Path) -> dict[str, Any]:
    from placevec.sources.osm.reader import check_whole, extent, read_header

    header = read_header(path)
    check_whole(path)
    return {
        "is": "OpenStreetMap extract",
        "bounds": _rounded((header.area or extent(path)).bounds),
        "timestamp": header.timestamp,
        "generator": header.generator,
        "bytes": path.stat().st_size,
    }
