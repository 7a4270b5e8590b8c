"""``placevec import-vectors``: embeddings that others publish as a table of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.importing_vectors import import_vectors
from placevec.cli.output import clean, counted, print_json, progress_for, remark, say
from placevec.cli.signature import taking_keywords_of
from placevec.sources.web_address import printable_address

HELP = """\
Rasters are read only where the places are: AlphaEarth (a GeoTIFF with 64 bands, also by its URL) and TESSERA (.npy
with scales, or a GeoTIFF with 128 bands). Tables from Clay, Earth Index, Major TOM and CityRep have their own places,
or their rows are matched to the places of --dataset or --places. Versions are never mixed.

The result is a table like any other: search it, explore it, evaluate it, or compare your vectors with
it: `placevec evaluate MINE.parquet --beside THIS.parquet`.

For example:

  placevec import-vectors 2024/35N/*.tiff --dataset data/helsinki -o alphaearth.parquet

  placevec import-vectors tessera/ --year 2024 --places farms.gpkg -o tessera.parquet

  placevec import-vectors 2024/35N --bbox 24.9,60.1,25.0,60.2 --spacing 100 -o grid.parquet

  placevec import-vectors 35VLG_2024-01-01_2025-01-01.parquet -o earthindex.parquet"""


@taking_keywords_of(import_vectors)
def command(*files: str, out: Path, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was written.

    Args:
        files: Rasters, addresses of GeoTIFFs, folders of rasters, or tables (Parquet) of one product and version.
    """
    table = import_vectors(files, out=out, progress=progress_for(as_json, quiet), **options)
    made = table.provenance
    if as_json:
        print_json({
            "embeddings": str(out), "count": len(table), "dim": table.dim, "view": table.view, "source": made.source,
            "version": made.version, "license": made.license, "attribution": made.attribution,
        })  # fmt: skip
        return
    first = f"{printable_address(files[0])}{f' and {len(files) - 1} more' if len(files) > 1 else ''}"
    say(f"{counted(len(table), 'vector')} of {table.dim} dimensions from {clean(first, 200)}")
    say(f"{clean(made.source)}, {clean(made.version)}; license: {clean(made.license)}")
    say(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    say(f"Data: {clean(made.attribution, width=500)}")
    remark(
        f"Next: placevec explore {out} --html PAGE.html    placevec evaluate MINE.parquet --beside {out}",
        quiet,
    )
