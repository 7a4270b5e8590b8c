"""`export`: writes the map of a dataset as tiles, and other parts as others read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, dataset_of
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import checked_keywords

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


@checked_keywords
def export(
    dataset: Dataset | PathLike,
    *,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    csv: PathLike | None = None,
    to: str | None = None,
    templates: PathLike | None = None,
    languages: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = SILENT,
) -> int:
    """Write what others read: the map of a dataset as tiles, its chips and texts as a table, its entities into PostGIS.

    Returns the number of tiles (each with a picture of every layer), of rows, or of entities.

    Args:
        dataset: Dataset or its directory.
        tile_folder: Folder to make: tiles/LAYER/z/x/y.png, or tiles/tile_z_x_y.png for colors.
        mbtiles: MBTiles file to make for colors; for layers, a folder with one file each.
        csv: Table to make, one sentence for each chip: multimodal_dataset.csv of the original Where2Vec, and s2_chips/.
        to: Address of a PostGIS database, postgresql://USER@HOST/DATABASE, for entities and their names.
        templates: Sentences around names in --csv: a TOML file, default, or founding (default: names as they are).
        languages: Languages of the names in --csv, BCP 47, separated by commas (default: all).
        seed: Seed of the draws of names and sentences in --csv.
        progress: Receives progress reports.
    """
    from placevec.preparation.tiles.export import export_mbtiles, export_tile_folder

    opened = dataset_of(dataset)
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
