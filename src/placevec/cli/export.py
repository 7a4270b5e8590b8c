"""``placevec export``: a dataset's map as ready tiles."""

from __future__ import annotations

from pathlib import Path

import typer

from placevec.cli.output import JSON, QUIET, clean, print_json, progress_for, say

NAME = "export"
HELP = """Write the map of a dataset as ready tiles: folders as the founding pipelines read them, or MBTiles.

Layers become tiles/LAYER/z/x/y.png, white on black in one bit a pixel, a picture of every layer for each tile. Colors
become tiles/tile_z_x_y.png and metadata.json. `placevec prepare --tile-folder` gives the same pixels back. A killed run
goes on where it was.

Examples:

  placevec export data/malta --tile-folder 12_layer_tiles

  placevec export data/kyiv --mbtiles kyiv.mbtiles
"""


def command(
    dataset: Path = typer.Argument(..., help="The dataset."),
    tile_folder: Path | None = typer.Option(None, help="Folder to make."),
    mbtiles: Path | None = typer.Option(
        None, help="MBTiles file to make of colors; of layers, a folder of one file each."
    ),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.export` and say what was made."""
    from placevec import api

    opened = api.open_dataset(dataset)
    count = api.export(
        opened, tile_folder=tile_folder, mbtiles=mbtiles, progress=progress_for(as_json, quiet)
    )
    out = tile_folder or mbtiles
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
