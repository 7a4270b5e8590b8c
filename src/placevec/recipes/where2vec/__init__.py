"""Where2Vec: named places, what is said of them in many languages, and what they look like, in one space."""

from __future__ import annotations

from placevec.recipes.base import RecipeEntry
from placevec.recipes.where2vec.config import Where2VecConfig
from placevec.recipes.where2vec.prepare import EntityOptions
from placevec.recipes.where2vec.presets import PRESETS

RECIPE = RecipeEntry(
    name="where2vec",
    summary="vectors shared by images and texts of named OpenStreetMap features",
    config=Where2VecConfig,
    presets=PRESETS,
    prepare_options=EntityOptions,
    prepare="placevec.recipes.where2vec.prepare:prepare",
    build="placevec.recipes.where2vec.build:build",
    lacking="placevec.recipes.where2vec.prepare:lacking",
    prepare_examples=(
        "placevec prepare where2vec --osm-name helsinki-center --out data/helsinki",
        "placevec prepare where2vec --osm malta.osm.pbf --map --out data/malta",
        "placevec prepare where2vec --osm malta.osm.pbf --types founding --out data/founding",
        "placevec prepare where2vec --satellite https://earth-search.aws.element84.com/v1 --out data/malta",
        "placevec prepare where2vec --osm malta.osm.pbf --out data/malta-tiles   # an existing dataset",
    ),
    train_examples=(
        "placevec train where2vec data/helsinki --out runs/helsinki",
        "placevec train where2vec data/helsinki --out runs/helsinki --text-model multilingual-e5-small",
    ),
)
