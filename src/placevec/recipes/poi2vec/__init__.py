"""poi2vec: vectors of categories of points of interest, from which categories lie next to each other."""

from __future__ import annotations

from placevec.preparation.cell_options import CellOptions
from placevec.recipes.base import Preset, RecipeEntry
from placevec.recipes.poi2vec.config import Poi2VecConfig

FOUNDING = {
    "dim": 64,
    "walk_length": 10,
    "walks": 5,
    "p": 0.5,
    "q": 0.5,
    "across": 0.4,
    "negatives": 5,
    "hierarchy": "code",
    "hierarchy_weight": 1e-8,
    "batch_size": 128,
    "epochs": 100,
    "optimizer": "adam",
    "learning_rate": 5e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "clip_norm": 0.0,
    "precision": "fp32",
}
"""Huang et al. 2022 and their code; the paper's own hierarchy is ``--hierarchy paper``."""

RECIPE = RecipeEntry(
    name="poi2vec",
    summary="vectors of POI categories, learned from which categories occur next to each other",
    config=Poi2VecConfig,
    presets={
        "default": Preset(
            "larger batches and a higher learning rate, the paper's hierarchy",
            {"learning_rate": 5e-3, "weight_decay": 0.0, "epochs": 20, "precision": "fp32"},
        ),
        "founding": Preset("the published hyperparameters", FOUNDING),
    },
    prepare_options=CellOptions,
    prepare="placevec.preparation.cells:prepare",
    build="placevec.recipes.poi2vec.build:build",
    former="placevec.recipes.poi2vec.former_commands:COMMANDS",
    prepare_examples=(
        "placevec prepare poi2vec --osm-name helsinki-center --spacing 300 --size-m 500 --out data/helsinki",
    ),
    train_examples=("placevec train poi2vec data/helsinki --out runs/categories",),
)
