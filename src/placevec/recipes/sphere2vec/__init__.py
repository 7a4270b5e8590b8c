"""Sphere2Vec: embeds bare coordinates, learned from labels or images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from placevec.preparation.points.options import ImageOptions
from placevec.recipes.base import Preset, RecipeEntry
from placevec.recipes.sphere2vec.config import DATASETS, Sphere2VecConfig
from placevec.recipes.sphere2vec.csp_config import CSP_PRESETS, CSP_SUMMARIES, csp_preset


def _of_dataset(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    from placevec.recipes.sphere2vec.presets import dataset_preset

    return dataset_preset(name, given)


RECIPE = RecipeEntry(
    name="sphere2vec",
    summary="vectors of coordinates alone, learned from labels of points or from images",
    config=Sphere2VecConfig,
    prepare_options=ImageOptions,
    prepare="placevec.preparation.chips.images:prepare",
    build="placevec.recipes.sphere2vec.build:build",
    presets={
        "default": Preset("sphereC+ and the defaults of all options"),
        **{
            name: Preset(
                f"the best known hyperparameters of the encoder on {name}", partial(_of_dataset, name)
            )
            for name in DATASETS
        },
        **{
            name: Preset(
                f"contrastive pretraining on images, {CSP_SUMMARIES[name]}", partial(csp_preset, name)
            )
            for name in CSP_PRESETS
        },
    },
    positional="points",
    from_file="{path} --label COLUMN",
    completed="placevec.recipes.sphere2vec.init:completed",
    encoders="placevec.recipes.sphere2vec.encoder:each",
    continued="placevec.recipes.sphere2vec.tuning:continued",
    suited="placevec.recipes.sphere2vec.build:suited",
    former="placevec.recipes.sphere2vec.former_commands:COMMANDS",
    prepare_examples=(
        "placevec prepare sphere2vec sightings.csv --label species --user observer --date seen_on --out data/sightings",
        "placevec prepare sphere2vec stations.parquet --label temperature --block-m 500000 --out data/stations",
        "placevec prepare sphere2vec --layout inat2018 --folder inat_2018 --out data/inat2018",
        "placevec prepare sphere2vec --images EuroSAT_MS.zip --out data/chips",
    ),
    train_examples=(
        "placevec train sphere2vec data/sightings --out runs/sightings --encoder sphereC+ --balance 100",
        "placevec train sphere2vec data/stations --out runs/stations --encoder all",
        "placevec train sphere2vec data/chips --loss csp --out runs/chips",
        "placevec train sphere2vec data/stations --init runs/chips --few-shot 0.1 --out runs/tuned",
    ),
)
