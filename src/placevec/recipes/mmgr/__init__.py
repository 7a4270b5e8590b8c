"""MMGR: cells of a city as images and as sets of points of interest, in vectors that know of each other."""

from __future__ import annotations

from placevec.preparation.cell_options import CellOptions
from placevec.recipes.base import RecipeEntry
from placevec.recipes.mmgr.config import MmgrConfig
from placevec.recipes.mmgr.presets import PRESETS

RECIPE = RecipeEntry(
    name="mmgr",
    summary="vectors of cells from their images and points of interest, for predicting urban function, population "
    "and the like",
    config=MmgrConfig,
    presets=PRESETS,
    prepare_options=CellOptions,
    prepare="placevec.preparation.cells:prepare",
    build="placevec.recipes.mmgr.build:build",
    lacking="placevec.recipes.mmgr.build:lacking",
    former="placevec.recipes.mmgr.former_commands:COMMANDS",
    prepare_examples=(
        "placevec prepare mmgr --osm-name helsinki-center --spacing 300 --size-m 500 --out data/helsinki",
        "placevec prepare mmgr --osm city.osm.pbf --places tracts.geojson --size-m 1000 --out data/tracts",
        "placevec prepare mmgr --bbox 32.59,0.35,32.60,0.36 --spacing 60 --aerial-tiles oam/ --out data/kampala",
        "placevec prepare mmgr --chip-folder mmgr-sample --out data/sample",
        "placevec prepare mmgr --places tracts.geojson --pois shops.csv --category kind --out data/tracts",
    ),
    train_examples=(
        "placevec train mmgr data/helsinki --out runs/cells",
        "placevec train mmgr data/helsinki --out runs/cells --category-vectors runs/categories",
        "placevec train mmgr data/helsinki --out runs/original --preset founding",
    ),
)
