"""``placevec export``: writes parts of a dataset, or a table of vectors, as others read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.exporting_vectors import is_table
from placevec.api.inputs import open_dataset
from placevec.api.tiles import export
from placevec.cli.output import clean, counted, print_json, progress_for, say
from placevec.cli.signature import taking_keywords_of

HELP = """\
Layers become tiles/LAYER/z/x/y.png, white on black with one bit per pixel, one image per layer and tile. Colors
become tiles/tile_z_x_y.png and metadata.json. `placevec prepare --tile-folder` restores the same pixels. If
interrupted, run the same command again to continue.

--csv writes one sentence per chip, with the chips next to it as s2_chips/*.npz; `placevec prepare ... --table` reads
that again. --to writes entities and their names into the tables geo_entity and geo_alias of a PostGIS database; for a
table of vectors, --to instead writes a table with an HNSW index into a database with pgvector (the extra postgis).

For a table of vectors, --projector writes what the TensorFlow Embedding Projector opens, --atlas what embedding-atlas
opens, --out the places for desktop GIS and web maps (.gpkg, .fgb, .pmtiles), --partitions partitioned GeoParquet for
query engines, in a folder or an object store, --stac a STAC collection and item, --cog vectors on a grid as a GeoTIFF,
and --selection with --out the places saved from a page, with their vectors, as GeoParquet, GeoJSON or CSV.

For a run or model, --onnx writes the encoder of one view for ONNX runtimes (the extra onnx).

For example:

  placevec export data/malta --tile-folder 12_layer_tiles

  placevec export data/kyiv --mbtiles kyiv.mbtiles

  placevec export data/helsinki --csv founding/multimodal_dataset.csv --templates founding

  placevec export data/helsinki --to postgresql://localhost/geokb

  placevec export helsinki.parquet --to postgresql://localhost/places

  placevec export helsinki.parquet -o helsinki.gpkg

  placevec export runs/malta --onnx malta.onnx

  placevec export malta.parquet --projector malta-projector

  placevec export malta.parquet --atlas malta-atlas.parquet

  placevec export malta.parquet --partitions s3://bucket/malta --grid h3 --level 5

  placevec export malta.parquet --stac stac/

  placevec export malta.parquet --cog malta.tif

  placevec export malta.parquet --selection selection.csv --out selected.parquet"""


@taking_keywords_of(export)
def command(source: Path, /, *, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was written."""
    if onnx := options.get("onnx"):
        export(str(source), progress=progress_for(as_json, quiet), **options)
        print_json({"out": str(onnx)}) if as_json else say(
            f"{onnx} ({Path(onnx).stat().st_size / 1e6:.1f} MB)"
        )
        return
    if is_table(source):
        _print_places(export(source, progress=progress_for(as_json, quiet), **options), options, as_json)
        return
    opened = open_dataset(source)
    count = export(opened, progress=progress_for(as_json, quiet), **options)
    out = options.get("tile_folder") or options.get("mbtiles")
    if out is None:
        _print_rows(opened.attribution, count, options, as_json)
        return
    if as_json:
        print_json(
            {
                "out": str(out),
                "tiles": count,
                "layers": list(opened.base_map_spec.channels),
                "zoom": opened.zoom,
            }
        )
        return
    say(f"{count:,} tiles of {len(opened.base_map_spec.channels)} layers at zoom {opened.zoom}: {out}")
    say(f"Data: {clean(opened.attribution, width=500)}")


def _print_places(count: int, options: dict[str, Any], as_json: bool) -> None:
    """What was written of a table of vectors."""
    if options.get("to"):
        print_json({"vectors": count}) if as_json else say(f"{counted(count, 'vector')} in the database")
        return
    named = ("projector", "atlas", "partitions", "stac", "cog", "out")
    out = str(next(options[name] for name in named if options.get(name)))
    if as_json:
        print_json({"out": out, "places": count})
        return
    say(f"{counted(count, 'place')}: {out}")
    if options.get("atlas"):
        say(f"embedding-atlas {out} --x x --y y --neighbors neighbors --text name")
    if options.get("projector"):
        say(f"tensorboard --logdir {out}")


def _print_rows(attribution: str, count: int, options: dict[str, Any], as_json: bool) -> None:
    """What was written of chips and texts, or of entities."""
    csv = options.get("csv")
    if as_json:
        print_json({"out": str(csv), "rows": count} if csv else {"entities": count})
        return
    say(f"{count:,} rows: {csv}" if csv else f"{count:,} entities written to the database")
    say(f"Data: {clean(attribution, width=500)}")
