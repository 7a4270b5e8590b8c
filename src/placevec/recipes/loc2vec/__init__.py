"""Loc2Vec: places near each other get similar vectors, learned from the map."""

from __future__ import annotations

from placevec.preparation.options import MapOptions
from placevec.recipes.base import RecipeEntry
from placevec.recipes.loc2vec.config import Loc2VecConfig
from placevec.recipes.loc2vec.presets import PRESETS

RECIPE = RecipeEntry(
    name="loc2vec",
    summary="similar vectors for places near each other, from OpenStreetMap layers or map tiles",
    config=Loc2VecConfig,
    prepare_options=MapOptions,
    prepare="placevec.preparation.map:prepare",
    build="placevec.recipes.loc2vec.build:build",
    presets=PRESETS,
    from_file="--osm {path}",
    suited="placevec.recipes.loc2vec.build:suited",
    former="placevec.recipes.loc2vec.former_commands:COMMANDS",
    prepare_examples=(
        "placevec prepare loc2vec --osm malta.osm.pbf --out data/malta",
        "placevec prepare loc2vec --osm-name Monaco --spacing 60 --out data/monaco",
        'placevec prepare loc2vec --tiles "http://localhost:8080/hot/{z}/{x}/{y}.png" --bbox 30.3,50.3,30.7,50.6'
        " --zoom 18 --samples 15000 --out data/kyiv",
        "placevec prepare loc2vec --tile-folder 12_layer_tiles --out data/kyiv",
        "placevec prepare loc2vec --osm city.osm.pbf --bbox 14.4,35.8,14.6,35.95 --places shops.csv --out data/shops",
    ),
    train_examples=(
        "placevec train loc2vec data/malta --out runs/malta --epochs 40",
        "placevec train loc2vec data/malta --out runs/original --preset founding",
        "placevec train loc2vec data/kyiv-tiles --out runs/rgb --preset founding-rgb --validation data/lviv-tiles",
        "placevec train loc2vec data/malta --out runs/longer --epochs 80 --resume-from runs/malta/checkpoints/epoch-040",
        "placevec train loc2vec data/malta --out runs/honest --drop-layers landcover,natural-features,leisure,amenities",
        "placevec train loc2vec data/malta data/andorra data/lauf --out runs/three --max-places 2500",
    ),
)
