"""``placevec prepare``: make a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from placevec.cli.output import JSON, QUIET, clean, print_json, progress_for, say
from placevec.cli.points import show_labelled
from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

NAME = "prepare"
POINTS = "Labelled points (sphere2vec)"
HELP = """Make the dataset that a recipe learns from.

Reads an OpenStreetMap extract, draws its layers, lays out the places and records where every byte came from.
A killed run goes on where it was; the same command on a finished dataset reuses it.

Examples:

  placevec prepare loc2vec --osm malta.osm.pbf --out data/malta

  placevec prepare loc2vec --osm-name Monaco --spacing 60 --out data/monaco

  placevec prepare loc2vec --tiles "http://localhost:8080/hot/{z}/{x}/{y}.png" --bbox 30.3,50.3,30.7,50.6 \\
    --zoom 18 --samples 15000 --out data/kyiv

  placevec prepare loc2vec --tile-folder 12_layer_tiles --out data/kyiv

  placevec prepare loc2vec --osm city.osm.pbf --bbox 14.4,35.8,14.6,35.95 --places shops.csv --out data/shops

  placevec prepare sphere2vec sightings.csv --label species --user observer --date seen_on --out data/sightings

  placevec prepare sphere2vec stations.parquet --label temperature --block-km 500 --out data/stations

  placevec prepare sphere2vec --layout inat2018 --folder inat_2018 --out data/inat2018

  placevec prepare sphere2vec --images EuroSAT_MS.zip --out data/chips
"""


def command(
    recipe: str = typer.Argument(..., help="The recipe: loc2vec or sphere2vec."),
    file: Path | None = typer.Argument(None, help="Table of points, for sphere2vec; or --points."),
    out: Path = typer.Option(..., "--out", "-o", help="Dataset directory to make."),
    osm: Path | None = typer.Option(
        None,
        help="OpenStreetMap extract: .osm.pbf, .osm, .osm.gz or .osm.bz2; beside tiles: what labels them.",
    ),
    osm_name: str | None = typer.Option(
        None, help="Extract to download by name, such as Monaco; helsinki-centre is embedded."
    ),
    bbox: str | None = typer.Option(
        None, help="Area as west,south,east,north in degrees (default: the extract's)."
    ),
    polygon: Path | None = typer.Option(None, help="Area as the polygons of a GeoJSON file."),
    tile_folder: Path | None = typer.Option(
        None, help="Folder of ready tiles: LAYER/z/x/y.png (masks) or tile_z_x_y.png or z/x/y.png (colours)."
    ),
    mbtiles: list[Path] = typer.Option(
        [], help="MBTiles file of colours; or, given several times or as a folder of them, a layer each."
    ),
    threshold: int | None = typer.Option(
        None, min=1, max=255, help="Contrast to the background from which a pixel of a layer is set (found)."
    ),
    background: str = typer.Option(
        "auto", help="Background of ready layers: auto, white, black or transparent; also LAYER=KIND,..."
    ),
    require_all_layers: bool = typer.Option(
        False, "--require-all-layers", help="Only tiles that every layer has are places (the founding way)."
    ),
    keep_grey: bool = typer.Option(
        False, "--keep-grey", help="Keep shades of ready layers, 8 bits a pixel, instead of a threshold."
    ),
    tiles: str | None = typer.Option(
        None, help="Tile server: an address with {z}, {x} and {y}. Only the tiles that the places need."
    ),
    server_ip: str | None = typer.Option(None, help="Or its name, with --server-port and --server-path."),
    server_port: int = typer.Option(80, help="Port of --server-ip."),
    server_path: str = typer.Option("/hot/{z}/{x}/{y}.png", help="Path on --server-ip."),
    min_lat: float | None = typer.Option(None, help="South edge of the area, with the other three."),
    min_lon: float | None = typer.Option(None, help="West edge."),
    max_lat: float | None = typer.Option(None, help="North edge."),
    max_lon: float | None = typer.Option(None, help="East edge."),
    samples: int | None = typer.Option(
        None, "--samples", "--num-samples", min=1, help="So many random places of the area, for --tiles."
    ),
    seed: int = typer.Option(0, help="Of the samples."),
    patch_size: int | None = typer.Option(
        None, min=1, help="Side of such a place in pixels, instead of --size-m."
    ),
    margin_m: float | None = typer.Option(
        None, min=0, help="Metres around each place whose tiles are needed too (as far as training reaches)."
    ),
    connections: int | None = typer.Option(
        None, min=1, help="To the tile server at once (2 on the open internet, 8 to one of your own)."
    ),
    most_failed: float = typer.Option(
        0.05, min=0, max=1, help="Share of the tiles that may be missing, corrupt or failed."
    ),
    attribution: str | None = typer.Option(None, help="The credit that the tiles ask for (OpenStreetMap's)."),
    refresh_tiles: bool = typer.Option(
        False, "--refresh-tiles", help="Ask the server about kept tiles again."
    ),
    zoom: int | None = typer.Option(
        None, help="Zoom whose pixels are stored (17, where a tile is 100 to 300 m; or the tiles' own)."
    ),
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
    points: Path | None = typer.Option(
        None,
        help="Points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.",
        rich_help_panel=POINTS,
    ),
    label: str | None = typer.Option(None, help="Column to be learned.", rich_help_panel=POINTS),
    kind: str = typer.Option(
        "auto",
        help="What labels are: classes, number, or auto, which says what it decided.",
        rich_help_panel=POINTS,
    ),
    lon: str | None = typer.Option(
        None, help="Column of longitudes (found by name).", rich_help_panel=POINTS
    ),
    lat: str | None = typer.Option(None, help="Column of latitudes (found by name).", rich_help_panel=POINTS),
    crs: str | None = typer.Option(
        None,
        help="System of the coordinates, such as EPSG:3067 (degrees, or the file's).",
        rich_help_panel=POINTS,
    ),
    id_: str | None = typer.Option(
        None,
        "--id",
        help="Column of distinct names of places (place_id or id, or row: its number).",
        rich_help_panel=POINTS,
    ),
    user: str | None = typer.Option(None, help="Column of who observed it.", rich_help_panel=POINTS),
    date: str | None = typer.Option(
        None, help="Column of when: a date, or the share of the year, 0 to 1.", rich_help_panel=POINTS
    ),
    split: str | None = typer.Option(
        None, help="Column of train, validation or test; rows are drawn without it.", rich_help_panel=POINTS
    ),
    validation_share: float | None = typer.Option(
        None, help="Share of rows that validate (0.1).", rich_help_panel=POINTS
    ),
    test_share: float | None = typer.Option(
        None, help="Share of rows that test (0.1).", rich_help_panel=POINTS
    ),
    block_km: float | None = typer.Option(
        None, help="Draw whole blocks, so many km wide, instead of rows.", rich_help_panel=POINTS
    ),
    min_per_class: int = typer.Option(1, help="Leave out classes with fewer rows.", rich_help_panel=POINTS),
    one_class: bool = typer.Option(
        False,
        "--one-class",
        help="A single class is meant, told from background points.",
        rich_help_panel=POINTS,
    ),
    leave_out_unseen: bool = typer.Option(
        False,
        "--leave-out-unseen",
        help="Leave out rows whose class training never sees.",
        rich_help_panel=POINTS,
    ),
    keep_repeats: bool = typer.Option(
        False, "--keep-repeats", help="Keep rows that repeat an earlier one.", rich_help_panel=POINTS
    ),
    layout: str | None = typer.Option(
        None,
        help="Files of a benchmark: inat2017, inat2018, birdsnap, nabirds, yfcc or fmow.",
        rich_help_panel=POINTS,
    ),
    folder: Path | None = typer.Option(None, help="Folder that holds them.", rich_help_panel=POINTS),
    meta: str | None = typer.Option(
        None,
        help="Of birds: orig (where photos say they were taken) or ebird (simulated).",
        rich_help_panel=POINTS,
    ),
    features: str | None = typer.Option(
        None,
        help="Subfolder of the image predictions, such as features_inception_hr.",
        rich_help_panel=POINTS,
    ),
    images: list[Path] = typer.Option(
        [],
        help="Folder or zip file of georeferenced GeoTIFF chips, each a place, instead of a table; may be repeated."
        " --label folder takes the folder that a chip lies in.",
        rich_help_panel=POINTS,
    ),
    bands: str | None = typer.Option(
        None,
        help="Their bands, where files do not say: names with commas, or rgb, l2a, l1c or eurosat.",
        rich_help_panel=POINTS,
    ),
    image_features: Path | None = typer.Option(
        None,
        help="Features of the places' images that you made: .npy in the table's order, or .parquet with place_id.",
        rich_help_panel=POINTS,
    ),
    workers: int = typer.Option(1, min=1, help="Processes that draw."),
    force: bool = typer.Option(False, "--force", help="Start afresh, removing what --out holds."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.prepare` and say what was made."""
    from placevec import api

    edges = (min_lon, min_lat, max_lon, max_lat)
    if any(edge is not None for edge in edges):
        if bbox is not None or None in edges:
            raise UsageError("an area is --bbox, or all of --min-lat, --min-lon, --max-lat and --max-lon")
        bbox = ",".join(str(edge) for edge in edges)
    if file is not None and points is not None:
        raise UsageError(f"points come from {file} or from --points {points}, not both")
    dataset = api.prepare(
        recipe, out=out, points=points if file is None else file, label=label, kind=None if kind == "auto" else kind,
        lon=lon, lat=lat, crs=crs, id=id_, user=user, date=date, split=split, validation_share=validation_share,
        test_share=test_share, block_km=block_km, min_per_class=min_per_class if min_per_class != 1 else None,
        one_class=one_class or None, leave_out_unseen=leave_out_unseen or None, keep_repeats=keep_repeats or None,
        layout=layout, folder=folder, meta=meta, features=features,
        images=images or None, bands=bands, image_features=image_features,
        osm=osm, osm_name=osm_name, bbox=bbox, polygon=polygon, tile_folder=tile_folder,
        mbtiles=mbtiles or None, threshold=threshold, background=background,
        require_all_layers=require_all_layers, keep_grey=keep_grey, tiles=tiles, server_ip=server_ip,
        server_port=server_port, server_path=server_path, samples=samples, seed=seed, patch_size=patch_size,
        margin_m=margin_m, connections=connections, most_failed=most_failed, attribution=attribution,
        refresh_tiles=refresh_tiles, zoom=zoom, layers=layers,
        spacing=spacing, places=places, all_tiles=all_tiles, size_m=size_m, workers=workers, force=force,
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json({"dataset": str(out), "hash": dataset.hash, **dataset.manifest})
        return
    if "map" not in dataset.view_names:
        show_labelled(dataset, out)
        images_only = "image_features" in dataset.view_names and not dataset.has_labels
        say(f"Next: placevec train {recipe} {out}{' --loss csp' if images_only else ''} --out RUN")
        return
    report = dataset.manifest["report"]
    say(f"{len(dataset):,} places, {len(dataset.map_spec.channels)} layers at zoom {dataset.zoom}: {out}")
    if report.get("broken"):
        say(f"{report['broken']:,} broken geometries were left out (listed in {out / 'dataset.json'})")
    say(f"Data: {clean(dataset.attribution, width=500)}")
    say(f"Next: placevec train {recipe} {out} --out RUN{_next(dataset, out)}")


def _next(dataset: Dataset, out: Path) -> str:
    """What suits the dataset: the model that comes with placevec reads layers, and patches are smaller than windows."""
    from placevec.datasets.additions import PLACES_PART, made

    if dataset.map_spec.channels != ("red", "green", "blue"):
        return f"    placevec embed --model base {out} -o E.parquet"
    laid_out = made(dataset, PLACES_PART)
    size_m = dataset.manifest["places"]["size_m"]
    patch = None if laid_out is None else laid_out.inputs.get("patch_size")
    return f" --size-m {size_m:.4g} --size-px {patch}" if patch else ""
