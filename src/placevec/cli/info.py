"""``placevec info``: what lies at a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from placevec.cli.output import JSON, print_facts, print_json
from placevec.cli.points import labels_told
from placevec.errors import InputError

if TYPE_CHECKING:
    from placevec.models.model import Model

NAME = "info"
HELP = """Say what a dataset, a run or model, a table of vectors, or an OSM extract is, after checking it.

Example:

  placevec info data/malta
"""


def command(path: Path = typer.Argument(..., help="What to look at."), as_json: bool = JSON) -> None:
    """Recognise the path and print what it is."""
    content = describe(path)
    if as_json:
        print_json(content)
        return
    print_facts(content)


def describe(path: Path) -> dict[str, Any]:
    """Facts about a path by what it is; InputError when it is nothing of ours."""
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
    raise InputError(f"{path} is no dataset, run, table of vectors (.parquet) or OSM extract")


def _dataset(path: Path) -> dict[str, Any]:
    from placevec.datasets.additions import unfinished
    from placevec.datasets.dataset import Dataset

    dataset = Dataset.open(path)
    manifest = dataset.manifest
    has_map = "map" in dataset.view_names
    return {
        "is": "dataset",
        "name": dataset.name,
        "places": len(dataset),
        "grid": manifest["places"]["grid"],
        "footprint_m": round(dataset.footprint_m, 1),
        "bounds": list(dataset.area.bounds),
        "views": list(dataset.view_names),
        **({"layers": list(dataset.map_spec.channels), "zoom": dataset.zoom} if has_map else {}),
        **labels_told(dataset),
        **({"unfinished additions": begun} if (begun := unfinished(path)) else {}),
        "created": manifest.get("created", "unknown"),
        "attribution": dataset.attribution,
        "hash": dataset.hash,
    }


def _model(path: Path) -> dict[str, Any]:
    from placevec.models.model import Model
    from placevec.training.log import read_metrics

    model = Model.load(path)
    metrics = read_metrics(path)
    return {
        "is": "model",
        "recipe": model.recipe.get("name"),
        "dim": model.dim,
        "parameters": model.parameters,
        **_read_by(model),
        "trained_on": model.training.get("dataset"),
        "steps": metrics[-1]["step"] if metrics else None,
        "attribution": model.training.get("attribution"),
        "hash": model.hash,
    }


def _read_by(model: Model) -> dict[str, Any]:
    """What a model reads, and what it answers."""
    head = model.head
    if not model.seen:
        encoder = next(iter(model.modules.values())).config()  # type: ignore[operator]
        answers = {} if head is None else {"answers": head.kind, "classes": list(head.classes)}
        return {"reads": list(model.specs), "encoder": encoder.get("encoder"), **answers}
    return {
        "reads": [f"{name}: {spec.size_px} px" for name, spec in model.specs.items()],
        "layers": list(model.seen),
        "layers_kept_out": list(model.dropped),
    }


def _embeddings(path: Path) -> dict[str, Any]:
    from placevec.embeddings import Embeddings

    table = Embeddings.load(path)
    provenance = table.provenance
    return {
        "is": "embeddings",
        "count": len(table.place_id),
        "dim": int(table.vectors.shape[1]),
        "view": table.view,
        "model_hash": provenance.model_hash,
        "model_path": provenance.model_path,
        "dataset_hash": provenance.dataset_hash,
        "dataset_path": provenance.dataset_path,
        "created": provenance.created,
        "attribution": provenance.attribution,
    }


def _extract(path: Path) -> dict[str, Any]:
    from placevec.sources.osm.reader import check_whole, extent, read_header

    header = read_header(path)
    check_whole(path)
    return {
        "is": "OpenStreetMap extract",
        "bounds": list((header.area or extent(path)).bounds),
        "timestamp": header.timestamp,
        "generator": header.generator,
        "bytes": path.stat().st_size,
    }
