"""`export`: writes the map of a dataset as tiles, and other parts and vectors as others read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, dataset_of, load_embeddings
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import checked_keywords
from placevec.options.choices import Metric

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings


@checked_keywords
def export(
    dataset: Dataset | Embeddings | PathLike,
    *,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    csv: PathLike | None = None,
    to: str | None = None,
    templates: PathLike | None = None,
    languages: Sequence[str] = (),
    seed: int = 0,
    table: str | None = None,
    view: str | None = None,
    metric: Metric = "cosine",
    out: PathLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write what others read: of a dataset the map as tiles, chips and texts as a table, or entities into PostGIS; or
    vectors into PostgreSQL with pgvector, and as files for GIS desktops and web maps.

    Returns the number of tiles (each with a picture of every layer), of rows, of entities, or of vectors.

    Args:
        dataset: Dataset or its directory, or vectors or their file.
        tile_folder: Folder to make: tiles/LAYER/z/x/y.png, or tiles/tile_z_x_y.png for colors.
        mbtiles: MBTiles file to make for colors; for layers, a folder with one file each.
        csv: Table to make, one sentence for each chip: multimodal_dataset.csv of the original Where2Vec, and s2_chips/.
        to: Address of a database, postgresql://USER@HOST/DATABASE: with PostGIS for the entities of a dataset and their
            names, with pgvector for vectors.
        templates: Sentences around names in --csv: a TOML file, default, or founding (default: names as they are).
        languages: Languages of the names in --csv, BCP 47, separated by commas (default: all).
        seed: Seed of the draws of names and sentences in --csv.
        table: Table for vectors in the database (default: placevec_VIEW).
        view: View of the vectors if there are several (default: the fused ones).
        metric: Distance that the index of vectors in the database is built for.
        out: File to write the places of vectors to, with colors of the vectors: .fgb (FlatGeobuf), .gpkg (GeoPackage) or
            .pmtiles.
        progress: Receives progress reports.
    """
    from placevec.preparation.tiles.export import export_mbtiles, export_tile_folder

    vectors = _vectors_of(dataset, view)
    if vectors is not None:
        given = (to, out, tile_folder, mbtiles, csv)
        if sum(one is not None for one in given) != 1 or (to is None and out is None):
            raise UsageError(
                "vectors are exported into a database or a file: give --to ADDRESS or --out FILE"
            )
        if out is not None:
            from placevec.explorer.gis_files import write_gis_file

            return write_gis_file(vectors, out, vectors.provenance.attribution)
        assert to is not None
        from placevec.embeddings.pgvector import export_vectors

        found = export_vectors(vectors, to, table=table, metric=metric, progress=progress)
        for line in found.lines():
            progress.say(line)
        return found.count
    if table is not None or view is not None or out is not None:
        raise UsageError("--table, --view and --out apply to vectors: give a file of vectors")
    assert not hasattr(dataset, "vectors")
    opened = dataset_of(dataset)  # type: ignore[arg-type]
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


def _vectors_of(given: Dataset | Embeddings | PathLike, view: str | None) -> Embeddings | None:
    """Vectors of one view, if that is what was given; a file can be nothing else."""
    if isinstance(given, str | Path):
        return load_embeddings(given).of(view) if Path(given).is_file() else None
    return given.of(view) if hasattr(given, "provenance") and hasattr(given, "of") else None


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
