"""``placevec prepare``: make a dataset."""

from __future__ import annotations

from pathlib import Path

import typer

from placevec.cli.output import JSON, QUIET, clean, print_json, progress_for, say

NAME = "prepare"
HELP = """Make the dataset that a recipe learns from.

Reads an OpenStreetMap extract, draws its layers, lays out the places and records where every byte came from.
A killed run goes on where it was; the same command on a finished dataset reuses it.

Examples:

  placevec prepare loc2vec --osm malta.osm.pbf --out data/malta

  placevec prepare loc2vec --osm-name Monaco --spacing 60 --out data/monaco

  placevec prepare loc2vec --osm city.osm.pbf --bbox 14.4,35.8,14.6,35.95 --places shops.csv --out data/shops
"""


def command(
    recipe: str = typer.Argument(..., help="The recipe: loc2vec."),
    out: Path = typer.Option(..., "--out", "-o", help="Dataset directory to make."),
    osm: Path | None = typer.Option(None, help="OpenStreetMap extract: .osm.pbf, .osm, .osm.gz or .osm.bz2."),
    osm_name: str | None = typer.Option(
        None, help="Extract to download by name, such as Monaco; helsinki-centre is embedded."
    ),
    bbox: str | None = typer.Option(
        None, help="Area as west,south,east,north in degrees (default: the extract's)."
    ),
    polygon: Path | None = typer.Option(None, help="Area as the polygons of a GeoJSON file."),
    zoom: int = typer.Option(17, help="Zoom whose pixels are stored: at 17, a tile is 100 to 300 m."),
    layers: Path | None = typer.Option(
        None, help="Your own layer table (TOML) instead of the twelve layers."
    ),
    spacing: float | None = typer.Option(
        None, help="Places on a grid so many metres apart, instead of map tiles."
    ),
    places: Path | None = typer.Option(
        None, help="Places from a CSV, Parquet or GeoJSON of points or polygons."
    ),
    size_m: float | None = typer.Option(
        None, help="Side of a place in metres, for --spacing and --places (200)."
    ),
    all_tiles: bool = typer.Option(False, "--all-tiles", help="Keep places that hold no feature too."),
    workers: int = typer.Option(1, min=1, help="Processes that draw."),
    force: bool = typer.Option(False, "--force", help="Start afresh, removing what --out holds."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.prepare` and say what was made."""
    from placevec import api

    dataset = api.prepare(
        recipe, out=out, osm=osm, osm_name=osm_name, bbox=bbox, polygon=polygon, zoom=zoom, layers=layers,
        spacing=spacing, places=places, all_tiles=all_tiles, size_m=size_m, workers=workers, force=force,
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json({"dataset": str(out), "hash": dataset.hash, **dataset.manifest})
        return
    report = dataset.manifest["report"]
    say(f"{len(dataset):,} places, {len(dataset.map_spec.channels)} layers at zoom {dataset.zoom}: {out}")
    if report.get("broken"):
        say(f"{report['broken']:,} broken geometries were left out (listed in {out / 'dataset.json'})")
    say(f"Data: {clean(dataset.attribution, width=500)}")
    say(f"Next: placevec train {recipe} {out} --out RUN    placevec embed --model base {out} -o E.parquet")
