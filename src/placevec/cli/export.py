"""``placevec export``: a dataset's map as ready tiles."""

from __future__ import annotations

from pathlib import Path

from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import Json, Quiet

HELP = """\
Layers become tiles/LAYER/z/x/y.png, white on black in one bit a pixel, a picture of every layer for each
tile. Colors become tiles/tile_z_x_y.png and metadata.json. `placevec prepare --tile-folder` gives the same
pixels back. A killed run goes on where it was.

For example:

  placevec export data/malta --tile-folder 12_layer_tiles

  placevec export data/kyiv --mbtiles kyiv.mbtiles"""


def command(
    dataset: Path,
    /,
    *,
    tile_folder: Path | None = None,
    mbtiles: Path | None = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.export` and say what was made.

    Args:
        dataset: Dataset directory.
        tile_folder: Folder to make.
        mbtiles: MBTiles file to make of colors; of layers, a folder of one file each.
    """
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
