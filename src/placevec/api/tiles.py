"""`export`: writes parts of a dataset, or a table of vectors, as others read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from placevec.api.exporting_vectors import export_vectors, is_table
from placevec.api.inputs import PathLike, Vectors, dataset_of, model_of
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import CellGrid, Metric, Reduction

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.models.model import Model


@checked_keywords
def export(
    source: Dataset | Vectors | Model | PathLike,
    *,
    onnx: PathLike | None = None,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    csv: PathLike | None = None,
    to: str | None = None,
    templates: PathLike | None = None,
    languages: Sequence[str] = (),
    seed: int = 0,
    projector: PathLike | None = None,
    atlas: PathLike | None = None,
    selection: PathLike | None = None,
    out: PathLike | None = None,
    table: str | None = None,
    metric: Metric = "cosine",
    view: str | None = None,
    projection: Reduction = "umap",
    max_places: Annotated[int, Limits(min=1)] | None = None,
    partitions: str | None = None,
    grid: CellGrid = "quadkey",
    level: Annotated[int, Limits(min=1)] | None = None,
    stac: PathLike | None = None,
    cog: PathLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write what others read, of a dataset, a table of vectors or a model.

    A dataset: its map as tiles, its chips and texts as a table, its entities into PostGIS. A table of vectors: into
    PostgreSQL with pgvector, the places as files for GIS desktops and web maps, the files of the TensorFlow Embedding
    Projector, a Parquet file for embedding-atlas, or the places of a selection. A model: one of its encoders as ONNX.

    Returns the number of tiles (each with a picture of every layer), of rows, of entities, of places, or of encoders.

    Args:
        source: Dataset directory, a table of vectors, or with --onnx a run or model.
        onnx: ONNX file to create from the encoder of one view (coordinates, tiles or images); its output is compared
            with PyTorch's.
        tile_folder: Folder to create: tiles/LAYER/z/x/y.png, or tiles/tile_z_x_y.png for colors.
        mbtiles: MBTiles file to create for colors; for layers, a folder with one file per layer.
        csv: CSV file to write with one sentence per chip, like multimodal_dataset.csv of the original Where2Vec, with
            the chips in s2_chips/ next to it.
        to: Address of a database, postgresql://USER@HOST/DATABASE: with PostGIS, for the entities of a dataset and
            their names; with pgvector, for vectors.
        templates: Sentences around names in --csv: a TOML file, default, or founding (default: only the names).
        languages: Languages of the names in --csv, BCP 47, separated by commas (default: all).
        seed: Seed for drawing names and sentences in --csv, for --projection and for --max-places.
        projector: Folder for the TensorFlow Embedding Projector, with tensors, metadata, thumbnails and configuration.
        atlas: Parquet file for embedding-atlas, with a projection, positions on the map in meters, and the nearest
            neighbors.
        selection: Places to write to --out: a CSV or GeoJSON file saved by the page, or any table with place_id.
        out: File to write places to, with colors of the vectors: .fgb (FlatGeobuf), .gpkg (GeoPackage) or .pmtiles; with
            --selection, the selected places and their vectors: .parquet (GeoParquet), .geojson or .csv.
        table: Name of the database table for the vectors (default: placevec_VIEW).
        metric: Distance that the index of vectors in the database is built for.
        view: View whose vectors are written if there are several (default: the fused vectors).
        projection: Projection of --atlas.
        max_places: Maximum number of places of --projector, drawn at random (default: all).
        partitions: Folder, or address of an object store such as s3://BUCKET/FOLDER, for partitioned GeoParquet, one
            part per cell: GRID=CELL/*.parquet.
        grid: Grid of --partitions.
        level: Level of the grid of --partitions (default: 9 for quadkey, 4 for h3).
        stac: Folder for a STAC collection and item that describe the table, with the fields of the STAC embedding
            extension.
        cog: Cloud-optimized GeoTIFF (.tif) of vectors on a grid: one band per dimension, each int8 with its own scale.
        progress: Receives progress reports.
    """
    from placevec.preparation.tiles.export import export_mbtiles, export_tile_folder

    if onnx is not None:
        if any(one is not None for one in (tile_folder, mbtiles, csv, to, projector, atlas, selection, out)):
            raise UsageError("--onnx writes a model: give it alone, or with --view")
        return _export_onnx(cast("Model | PathLike", source), Path(onnx), view, progress)
    source = cast("Dataset | Vectors | PathLike", source)
    if is_table(source):
        if any(one is not None for one in (tile_folder, mbtiles, csv, templates)) or languages:
            raise UsageError(
                "a table of vectors is written with --to, --out, --projector, --atlas, --partitions, --stac, --cog "
                "or --selection and --out"
            )
        return export_vectors(
            source, to=to, table=table, metric=metric, projector=projector, atlas=atlas, selection=selection, out=out,
            view=view, method=projection, max_places=max_places, seed=seed, partitions=partitions, grid=grid, level=level,
            stac=stac, cog=cog, progress=progress,
        )  # fmt: skip
    if (
        any(
            one is not None
            for one in (
                projector,
                atlas,
                selection,
                out,
                table,
                view,
                max_places,
                partitions,
                level,
                stac,
                cog,
            )
        )
        or grid != "quadkey"
        or projection != "umap"
        or metric != "cosine"
    ):
        raise UsageError(
            "--projector, --atlas, --selection, --out, --partitions, --stac, --cog, --table, --metric and --view apply "
            "to a table of vectors"
        )
    opened = dataset_of(cast("Dataset | PathLike", source))
    if sum(one is not None for one in (tile_folder, mbtiles, csv, to)) != 1:
        raise UsageError(
            "give one of --tile-folder DIR, --mbtiles FILE, --csv FILE and --to ADDRESS to write"
        )
    if csv is None and (templates is not None or languages or seed):
        raise UsageError("--templates, --languages and --seed apply to sentences: add --csv FILE")
    if csv is not None:
        return _export_csv(opened, Path(csv), templates, languages, seed, progress)
    if to is not None:
        from placevec.preparation.postgis import export_entities

        return export_entities(opened, to, progress=progress)
    if tile_folder is not None:
        return export_tile_folder(opened, Path(tile_folder), progress=progress)
    return export_mbtiles(opened, Path(str(mbtiles)), progress=progress)


def _export_onnx(source: Model | PathLike, path: Path, view: str | None, progress: Progress) -> int:
    from placevec.io import atomic
    from placevec.models.onnx_files import write_onnx

    atomic.check_writable(path)
    made = write_onnx(model_of(source), path, view)
    shape = ", ".join(["batch", *map(str, made.shape)])
    told = "onnxruntime is not installed, so it was not compared with PyTorch"
    if made.difference is not None:
        told = f"the largest difference from PyTorch is {made.difference:.1g}"
    progress.say(f"Note: input {made.input} ({shape}) of {made.dtype}, output vectors; {told}")
    return 1


def _export_csv(
    dataset: Dataset,
    path: Path,
    templates: PathLike | None,
    languages: Sequence[str],
    seed: int,
    progress: Progress,
) -> int:
    from placevec.datasets.sentences.templates import Templates
    from placevec.preparation.described.sentences import OneSentence
    from placevec.preparation.described.write import write_described

    sentences = None if templates is None else Templates.of(templates)
    return write_described(dataset, path, OneSentence(dataset, sentences, languages, seed), progress=progress)
