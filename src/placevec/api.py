"""The public functions that cross rooms: prepare, train, embed, similar, evaluate, explore.

They are what the command line calls and what a notebook calls; each can be run again after a kill.
"""

from __future__ import annotations

import datetime
import difflib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec import atomic
from placevec.dataset import Dataset
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError, UsageError
from placevec.geo import Area
from placevec.joined import JoinedDataset
from placevec.progress import SILENT, Progress

if TYPE_CHECKING:
    from types import ModuleType

    import geopandas as gpd
    import pandas as pd

    from placevec.clustering import Clusters, Scaling
    from placevec.clustering import Method as ClusterMethod
    from placevec.embeddings import Embeddings, StoredType
    from placevec.evaluation.report import Report
    from placevec.explorer.map_page import MapReport
    from placevec.explorer.page import PageReport
    from placevec.explorer.plots import PlotsReport
    from placevec.explorer.reductions import Method as ReductionMethod
    from placevec.model import Model
    from placevec.recipes.checks import Validation
    from placevec.search.exact import Metric

PathLike = str | Path


def open_dataset(path: PathLike) -> Dataset:
    """Open a dataset directory; DatasetError says what is wrong with it."""
    return Dataset.open(path)


def load_model(path: PathLike) -> Model:
    """Load a model or run directory; ModelError says what is wrong with it."""
    from placevec.model import Model

    return Model.load(path)


def load_embeddings(path: PathLike) -> Embeddings:
    """Load a table of vectors; EmbeddingsError says what is wrong with it."""
    from placevec.embeddings import Embeddings

    return Embeddings.load(path)


def prepare(
    recipe: str,
    *,
    out: PathLike,
    osm: PathLike | None = None,
    osm_name: str | None = None,
    bbox: Area | tuple[float, float, float, float] | str | None = None,
    polygon: PathLike | None = None,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | Sequence[PathLike] | None = None,
    threshold: int | None = None,
    background: str = "auto",
    require_all_layers: bool = False,
    keep_grey: bool = False,
    tiles: str | None = None,
    server_ip: str | None = None,
    server_port: int = 80,
    server_path: str = "/hot/{z}/{x}/{y}.png",
    samples: int | None = None,
    seed: int = 0,
    patch_size: int | None = None,
    margin_m: float | None = None,
    connections: int | None = None,
    most_failed: float = 0.05,
    attribution: str | None = None,
    refresh_tiles: bool = False,
    zoom: int | None = None,
    layers: PathLike | None = None,
    spacing: float | None = None,
    places: PathLike | None = None,
    all_tiles: bool = False,
    size_m: float | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Progress = SILENT,
) -> Dataset:
    """Make the dataset that a recipe learns from.

    Args:
        recipe: such as ``loc2vec``.
        out: the dataset directory; when it already holds this very dataset, it is reused.
        osm: an extract: .osm.pbf, .osm, .osm.gz or .osm.bz2. Beside ready tiles it only labels them: with land use,
            points of interest and names to be evaluated by.
        osm_name: or the name of an extract to download, such as ``Monaco``; ``helsinki-centre`` is embedded.
        bbox: (west, south, east, north) in degrees, or ``"west,south,east,north"``; the extract's own by default.
        polygon: or a GeoJSON file whose polygons are the area.
        tile_folder: or a folder of ready tiles: ``LAYER/z/x/y.png`` or ``tile_z_x_y.png``.
        mbtiles: or MBTiles: one file of colours, or several files (or a folder of them), each a layer.
        threshold: 1 to 255: from what contrast to the background on a pixel of such a layer is set; None finds it.
        background: of such layers: ``auto``, ``white``, ``black`` or ``transparent``, also as ``LAYER=KIND``.
        require_all_layers: only tiles that every layer has are places, as in the founding pipeline.
        keep_grey: keep the contrast of such layers, in 8 bits, instead of comparing it with the threshold.
        tiles: or a tile server, such as ``http://localhost:8080/hot/{z}/{x}/{y}.png``: the tiles that the places need
            are downloaded, and kept in the user's cache.
        server_ip, server_port, server_path: the same address in the parts that founding document 001 names.
        samples: of a tile server: so many random places, evenly over the area, instead of whole tiles.
        seed: of the samples.
        patch_size: side of such a place in pixels, instead of ``size_m``.
        margin_m: metres around each place whose tiles are needed too, since windows turn and positives lie near; by
            default as far as training reaches on its own.
        connections: to the server at once; 2 on the open internet, 8 to one of your own.
        most_failed: share of the tiles that may be missing, corrupt or failed.
        attribution: the credit that the tiles ask for; that of OpenStreetMap by default.
        refresh_tiles: ask again about tiles that are kept.
        zoom: whose pixels are native: 17 is 0.5 to 1.2 m. 17 by default, or the one zoom that ready tiles have.
        layers: a layer table (TOML) instead of the founding twelve.
        spacing: places on a metric grid, so many metres apart, instead of tiles.
        places: or the places in this table (CSV, Parquet, GeoJSON) of points or polygons.
        all_tiles: keep places without any feature too.
        size_m: side of a place's footprint in metres, for grids and tables; 200 by default.
        workers: processes that draw.
        force: start afresh instead of reusing or resuming.
        progress: where to report.
    """
    from placevec.recipes import recipe_module

    out = Path(out)
    module = recipe_module(recipe)
    if bbox is not None and polygon is not None:
        raise InputError("give a bounding box or a polygon, not both")
    area = Area.from_geojson(polygon) if polygon is not None else _area(bbox)
    if area is not None and area.crosses_antimeridian:
        progress.say(
            "Note: west is greater than east, so that the box runs eastwards over the 180th meridian"
        )
    _adopt(out)
    afresh = force and out.exists()
    if afresh and not ((out / "dataset.json").exists() or (out / ".work").is_dir() or not any(out.iterdir())):
        raise DatasetError(f"{out} is not a placevec dataset: --force will not delete it")
    if afresh or not (out / "dataset.json").exists():
        atomic.check_writable(out, directory=True)
    options = {
        "osm": osm, "osm_name": osm_name, "tile_folder": tile_folder, "mbtiles": mbtiles, "threshold": threshold,
        "background": background, "require_all_layers": require_all_layers, "keep_grey": keep_grey,
        "tiles": tiles, "server_ip": server_ip, "server_port": server_port, "server_path": server_path,
        "samples": samples, "seed": seed, "patch_size": patch_size, "margin_m": margin_m, "connections": connections,
        "most_failed": most_failed, "attribution": attribution, "refresh_tiles": refresh_tiles,
        "area": area, "zoom": zoom, "layers": layers, "spacing_m": spacing,
        "places": places, "all_places": all_tiles, "size_m": size_m, "workers": workers,
    }  # fmt: skip
    if afresh:
        return _prepared_afresh(module, out, {**options, "progress": progress, "created": _now()})
    dataset: Dataset = module.prepare(out, progress=progress, created=_now(), **options)
    return dataset


def _prepared_afresh(module: ModuleType, out: Path, options: dict[str, Any]) -> Dataset:
    """Prepare beside ``out`` and take its place when that is whole: a damaged extract costs nobody a dataset."""
    out, beside = out.resolve(), _beside(out)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        module.prepare(beside, **options)
        atomic.exchange_directory(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Dataset.open(out)


def _beside(out: Path) -> Path:
    """Where the successor of a dataset is prepared."""
    out = out.resolve()
    return out.with_name(f".{out.name}.new")


def _adopt(out: Path) -> None:
    """Put a whole successor into its place when a kill fell between the two renames that would have done it."""
    if not out.exists() and (_beside(out) / "dataset.json").exists():
        os.replace(_beside(out), out.resolve())
        atomic.remove_temporaries(out.resolve().parent, of=out.resolve().name)


def validate(path: PathLike, *, zoom: int | None = None, progress: Progress = SILENT) -> Validation:
    """Look through a folder of tiles, MBTiles or a dataset and say whether it can be used; nothing is written.

    Args:
        path: what to look at.
        zoom: of the tiles, when there are several.
        progress: where to report.
    """
    from placevec.recipes.checks import validate as look_through

    return look_through(path, zoom=zoom, progress=progress)


def export(
    dataset: Dataset | PathLike,
    *,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write the map of a dataset as ready tiles; returns how many there are, each with a picture of every layer.

    Args:
        dataset: it, or its directory.
        tile_folder: folder to make: ``tiles/LAYER/z/x/y.png``, or ``tiles/tile_z_x_y.png`` of colours.
        mbtiles: or the MBTiles file to make of colours, or the folder of one file a layer.
        progress: where to report.
    """
    from placevec.recipes.tile_export import export_mbtiles, export_tile_folder

    opened = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    if (tile_folder is None) == (mbtiles is None):
        raise UsageError("name what to write: --tile-folder DIR or --mbtiles FILE, one of the two")
    if tile_folder is not None:
        return export_tile_folder(opened, Path(tile_folder), progress=progress)
    return export_mbtiles(opened, Path(str(mbtiles)), progress=progress)


def _area(bbox: Area | tuple[float, float, float, float] | str | None) -> Area | None:
    if bbox is None or isinstance(bbox, Area):
        return bbox
    return Area.parse(bbox) if isinstance(bbox, str) else Area(*bbox)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def train(
    recipe: str,
    dataset: Dataset | PathLike | Sequence[Dataset | PathLike],
    *,
    out: PathLike,
    preset: str = "default",
    validation: Dataset | PathLike | Sequence[Dataset | PathLike] | None = None,
    resume: bool | PathLike = False,
    force: bool = False,
    projector: int = 500,
    progress: Progress = SILENT,
    **options: Any,
) -> Model:
    """Train a recipe on a dataset and return the model with the best validation loss.

    Args:
        recipe: such as ``loc2vec``.
        dataset: a dataset or its directory; or several, which are learnt from together.
        out: the run directory: the model, ``metrics.jsonl``, TensorBoard events and the state to resume.
        preset: ``default``; ``founding`` or ``founding-rgb`` for the original networks, objectives and
            hyper-parameters; ``taught``.
        validation: a dataset to validate on, or several, instead of blocks held out of the one trained on.
        resume: go on from the newest state in ``out`` (from the start if there is none), or from a named checkpoint
            (``checkpoints/epoch-010``), whose run goes on in ``out``. ``epochs`` may then be others.
        force: remove what ``out`` holds and start afresh.
        projector: places whose vectors and pictures TensorBoard's projector shows at the end, drawn at random; 0: none.
        progress: where to report.
        options: any option of the recipe or of `TrainingOptions`, such as ``epochs=20``.
    """
    import torch

    from placevec.model import Model, Reading
    from placevec.recipes import recipe_module
    from placevec.training import train as run_training

    module = recipe_module(recipe)
    config, training = module.configure(preset, options)
    ground, judge = _ground(dataset), None if validation is None else _ground(validation)
    run, resumed = Path(out), resume if isinstance(resume, bool) else Path(resume)
    if projector < 0:
        raise UsageError(f"the projector shows a number of places, 0 or more; got {projector}")
    if force and resumed is not False:
        raise UsageError("--resume goes on with a run and --force removes it: give one of the two")
    holds_run = _check_run(run, resume=resumed is not False, force=force)
    torch.manual_seed(int(training.get("seed", 0)))
    built = module.build(ground, config, training, judge)
    for note in built.notes:
        progress.say(f"Note: {note}")
    encoder_of = {slot.view: slot.encoder for slot in built.recipe.slots.values()}
    readings = {name: Reading(encoder_of[name], spec) for name, spec in built.specs.items()}
    origin = {
        "dataset": ground.name,
        "dataset_path": str(ground.path.resolve()) if isinstance(ground, Dataset) else "",
        "dataset_hash": ground.hash,
        "attribution": ground.attribution,
        "areas": [
            part.area.as_dict() for part in (ground.parts if isinstance(ground, JoinedDataset) else (ground,))
        ],
        "places": built.places,
        **({"held_out": built.held_out} if built.held_out else {}),
        **({"validation": judge.name} if judge is not None else {}),
    }
    described = module.config_dict(built.config)
    model = Model(built.recipe.encoders, readings, {"name": recipe, "config": described}, origin)
    fixed = {"recipe": recipe, **described, "dataset_hash": ground.hash}
    if judge is not None:
        fixed["validation_hash"] = judge.hash
    if holds_run and force:  # only now that all options have proved themselves
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    run_training(
        built.recipe, built.views, run, built.training,
        config=fixed, save=model.save, resume=resumed, validation_views=built.validation_views,
        progress=progress,
    )  # fmt: skip
    trained = Model.load(run)
    if projector:
        from placevec.explorer.projector import write_projector

        parts = ground.parts if isinstance(ground, JoinedDataset) else (ground,)
        write_projector(run / "tensorboard" / "projector", trained, parts, projector, progress=progress)
    return trained


def import_weights(
    file: PathLike,
    *,
    system: str,
    out: PathLike,
    zoom: int = 17,
    layers: Sequence[str] | None = None,
) -> Model:
    """The weights of a founding Loc2Vec as a model directory; calling this is consent to read the file.

    Args:
        file: its ``.pt`` or ``.pth``, of which only tensors and plain values are read.
        system: ``loc2vec-12`` or ``loc2vec-rgb``.
        out: the model directory to make.
        zoom: of the tiles that it was trained on.
        layers: its input channels in its order; placevec's twelve, or red, green, blue, by default.
    """
    from placevec.founding_weights import import_founding

    names = None if layers is None else tuple(layers)
    return import_founding(Path(file), system, Path(out), zoom=zoom, layers=names)


def _ground(dataset: Dataset | PathLike | Sequence[Dataset | PathLike]) -> Dataset | JoinedDataset:
    """What is trained on: one dataset, or several joined."""
    if isinstance(dataset, Dataset):
        return dataset
    if isinstance(dataset, str | Path):
        return Dataset.open(dataset)
    parts = [part if isinstance(part, Dataset) else Dataset.open(part) for part in dataset]
    return parts[0] if len(parts) == 1 else JoinedDataset(parts)


def _check_run(run: Path, *, resume: bool, force: bool) -> bool:
    """Whether ``run`` holds a run; ModelError when what it holds must not be touched."""
    # the log is the first thing a run writes: it may have been interrupted before its first checkpoint
    holds_run = any((run / name).exists() for name in ("metrics.jsonl", "state", "config.json"))
    if run.is_dir() and any(run.iterdir()) and not holds_run:
        raise ModelError(f"{run} exists and is not a run: choose another --out")
    if holds_run and not resume and not force:
        raise ModelError(f"{run} already holds a run: --resume goes on with it, --force starts afresh")
    atomic.check_writable(run, directory=True)
    if holds_run:
        atomic.remove_temporaries(run)
    return holds_run


def embed(
    model: Model | PathLike,
    dataset: Dataset | PathLike,
    *,
    out: PathLike | None = None,
    dtype: StoredType = "float32",
    batch_size: int = 64,
    progress: Progress = SILENT,
) -> Embeddings:
    """The vectors of a dataset's places.

    With ``out`` the table is also written there (``float32``, ``float16`` or ``int8``), and a killed call goes
    on where it was. Places without coordinates are left out, since every view so far is read by coordinates.
    """
    from placevec.embeddings import Embeddings, Provenance
    from placevec.parts import embed_in_parts

    if out is not None and Path(out).suffix not in (".parquet", ".geoparquet"):
        raise InputError(f"vectors are written as GeoParquet: name the file .parquet, not {Path(out).name}")
    if out is not None:
        atomic.check_writable(out)
    model = _model(model)
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    rows = dataset.require_coordinates(np.arange(len(dataset)), "embedding")
    if len(rows) < len(dataset):
        progress.say(f"Note: {len(dataset) - len(rows)} places without coordinates are left out")
    work = None if out is None else Path(out).with_name(f".{Path(out).name}.work")
    vectors = embed_in_parts(model, dataset, rows, work, batch_size, progress)
    provenance = Provenance(
        model_hash=model.hash,
        dataset_hash=dataset.hash,
        model_path="" if model.path is None else str(model.path.resolve()),
        dataset_path=str(dataset.path.resolve()),
        attribution=dataset.attribution,
        created=_now(),
    )
    places = dataset.places
    embeddings = Embeddings(
        place_id=places["place_id"].to_numpy(object)[rows],
        vectors=vectors,
        lonlat=dataset.lonlat[rows],
        geometry=dataset.geometry()[rows],
        names=places["name"].to_numpy(object)[rows],
        view=next(iter(model.readings)),
        provenance=provenance,
    )
    if out is not None:
        embeddings.save(out, dtype=dtype)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return embeddings


def recorded_dataset(embeddings: Embeddings, dataset: Dataset | PathLike | None = None) -> Dataset | None:
    """The dataset that vectors were made from: the one given, else the one recorded if it is still there and the same."""
    if dataset is not None:
        found = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    else:
        path = embeddings.provenance.dataset_path
        if not path or not (Path(path) / "dataset.json").exists():
            return None
        found = Dataset.open(path)
    if found.hash != embeddings.provenance.dataset_hash:
        if dataset is None:
            return None
        raise PlacevecError(f"the vectors were made from another dataset than {found.path}")
    return found


def recorded_model(embeddings: Embeddings, model: Model | PathLike | None = None) -> Model | None:
    """The model that made the vectors: the one given, else the one recorded if it is still there and the same."""
    from placevec.model import Model

    if model is not None:
        found = model if isinstance(model, Model) else Model.load(model)
    else:
        path = embeddings.provenance.model_path
        if not path or not (Path(path) / "config.json").exists():
            return None
        found = Model.load(path)
    if found.hash != embeddings.provenance.model_hash:
        if model is None:
            return None
        raise ModelError(
            f"the vectors were made by another model ({embeddings.provenance.model_hash[:12]}) than {found.path}"
        )
    return found


def _model(model: Model | PathLike) -> Model:
    from placevec.model import Model

    return model if isinstance(model, Model) else Model.load(model)


def similar(
    embeddings: Embeddings | PathLike,
    *,
    place: str | None = None,
    tile: str | None = None,
    name: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    k: int = 10,
    metric: Metric = "cosine",
    bbox: Area | tuple[float, float, float, float] | str | None = None,
    min_distance_m: float = 0.0,
    where: NDArray[np.bool_] | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
) -> gpd.GeoDataFrame:
    """The ``k`` places most like one of the table, a named one, or any point.

    Only places in ``bbox``, at least ``min_distance_m`` metres from the query, and where the mask ``where`` (N,) is
    true may answer.

    A point that is no place of the table is embedded afresh when the dataset and model are given or still lie
    where the table says; else the nearest place answers, and ``result.attrs["query"]`` says how far it is.

    Returns:
        One row a place, best first: place_id, name, lon, lat, rank, distance, geometry.
    """
    from placevec.search.query import similar as search

    table = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    options: dict[str, Any] = {
        "k": k,
        "metric": metric,
        "where": where,
        "bbox": _area(bbox),
        "min_distance_m": min_distance_m,
    }
    if name is not None:
        place = _place_named(table, name)
    if lon is None or lat is None:
        return search(table, place=place, tile=tile, lon=lon, lat=lat, **options)
    found_dataset, found_model = recorded_dataset(table, dataset), recorded_model(table, model)
    if found_dataset is None or found_model is None:
        return search(table, lon=lon, lat=lat, **options)
    if not found_dataset.area.contains(lon, lat)[0]:
        return search(table, lon=lon, lat=lat, **options)
    vector = found_model.embed_points(found_dataset, np.array([[lon, lat]], np.float64))[0]
    return search(table, lon=lon, lat=lat, vector=vector, **options)


def _place_named(table: Embeddings, name: str) -> str:
    """The place_id whose name is, or begins with, or holds ``name`` (case ignored)."""
    wanted = name.casefold()
    named = [(row, str(text)) for row, text in enumerate(table.names) if text]
    tests: Iterable[Any] = (
        lambda text: text.casefold() == wanted,
        lambda text: text.casefold().startswith(wanted),
        lambda text: wanted in text.casefold(),
    )
    for test in tests:
        for row, text in named:
            if test(text):
                return str(table.place_id[row])
    near = difflib.get_close_matches(name, dict.fromkeys(text for _, text in named), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    count = f"{len(named)} of {len(table.place_id)} places have a name"
    raise InputError(f"no place is named {name!r} ({count}){hint}")


def evaluate(
    embeddings: Embeddings | PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
    tasks: list[str] | None = None,
    labels: PathLike | None = None,
    seeds: int = 3,
    folds: int = 5,
    budget: Literal["quick", "full"] = "full",
    allow_leaks: bool = False,
    others: Mapping[str, Model | PathLike] | None = None,
    progress: Progress = SILENT,
) -> Report:
    """How good vectors are beside chance, coordinates, raw features and an untrained encoder.

    The dataset and the model are found where the table says, or given. ``others`` are further models to compare
    with on the same places, such as ``{"base model": "base"}``.
    """
    from placevec.evaluation.report import evaluate as run

    table = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    found = recorded_dataset(table, dataset)
    if found is None:
        raise DatasetError("the dataset of these vectors is not where they say: name it with --dataset")
    return run(
        table, dataset=found, model=recorded_model(table, model), tasks=tasks, labels=labels, seeds=seeds,
        folds=folds, budget=budget, allow_leaks=allow_leaks, progress=progress,
        others={name: _model(other) for name, other in (others or {}).items()},
    )  # fmt: skip


def cluster(
    embeddings: Embeddings | PathLike,
    *,
    method: ClusterMethod = "kmeans",
    clusters: int | None = None,
    smallest: int | None = None,
    vectors: Scaling = "unit",
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress = SILENT,
) -> Clusters:
    """Group places by their vectors; see `placevec.clustering.cluster` for the options.

    With ``out`` they are also written there: Parquet, CSV or GeoJSON, which `explore` takes to colour by.
    """
    from placevec.clustering import check_format
    from placevec.clustering import cluster as run

    if out is not None:
        check_format(out)
        atomic.check_writable(out)
    table = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    found = run(
        table,
        method=method,
        clusters=clusters,
        smallest=smallest,
        vectors=vectors,
        seed=seed,
        progress=progress,
    )
    if out is not None:
        found.save(out)
    return found


@dataclass(frozen=True)
class Explored:
    """What `explore` wrote: None for what was not asked for."""

    page: PageReport | None
    map: MapReport | None
    plots: PlotsReport | None


def explore(
    embeddings: Embeddings | PathLike,
    html: PathLike | None = None,
    *,
    map: PathLike | None = None,
    png: PathLike | None = None,
    dataset: Dataset | PathLike | None = None,
    columns: pd.DataFrame | None = None,
    title: str | None = None,
    method: ReductionMethod = "pca",
    projections: Sequence[ReductionMethod] = ("pca", "tsne", "umap"),
    clusters: int | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Explored:
    """Write what shows vectors to people; pages open without a network. At least one of the three must be asked for.

    Args:
        embeddings: the places and their vectors, or the file that holds them.
        html: a page to write: the embedding space beside the map, linked.
        map: a folder for ``embeddings_map.html`` and ``embeddings.geojson``: markers in the colours of the vectors, and
            the same places with all dimensions, components, colours and clusters.
        png: a folder for still plots: every projection in every colouring.
        dataset: where the map comes from; by default the one that the vectors name, if it is still there.
        columns: a table to colour by, such as `cluster` gives; its column ``cluster`` replaces k-means.
        title: of all of them; the dataset's name by default.
        method: what makes the colours of the map: ``pca``, ``tsne`` or ``umap``.
        projections: of the plots.
        clusters: of k-means, on the map and the plots; chosen by silhouette by default.
        max_places: more than these are drawn as a seeded sample, and everything says so.
        seed: of the sample, t-SNE, UMAP and k-means.
        progress: where to report.
    """
    from placevec.explorer.drawn import Drawn
    from placevec.explorer.map_page import map_of
    from placevec.explorer.page import page_of
    from placevec.explorer.plots import plots_of, require_plots
    from placevec.explorer.reductions import require

    if html is None and map is None and png is None:
        raise UsageError("name what to write: a page (--html FILE), a map (--map DIR) or plots (--png DIR)")
    if html is not None:
        atomic.check_writable(html)
    for folder in (map, png):
        if folder is not None:
            atomic.check_writable(folder, directory=True)
    if map is not None:
        require(method)
    if png is not None:
        require_plots(projections)
    table = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    drawn = Drawn.of(
        table, dataset=recorded_dataset(table, dataset), columns=columns, clusters=clusters, max_places=max_places,
        seed=seed, progress=progress,
    )  # fmt: skip
    return Explored(
        None if html is None else page_of(drawn, Path(html), title=title),
        None if map is None else map_of(drawn, map, title=title, method=method),
        None if png is None else plots_of(drawn, png, title=title, methods=projections),
    )
