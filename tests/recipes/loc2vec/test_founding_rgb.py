"""The founding RGB preset on 300 whole tiles at z17, validated on blocks of its own area."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.recipes import recipe
from placevec.recipes.loc2vec.build import build
from placevec.training.log import read_metrics


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20 by 15 tiles of Malta in random colors."""
    folder = tmp_path_factory.mktemp("rgb")
    random = np.random.default_rng(0)
    (folder / "tiles").mkdir()
    for y in range(15):
        for x in range(20):
            small = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8))
            small.resize((256, 256), Image.Resampling.NEAREST).save(
                folder / "tiles" / f"tile_17_{70_770 + x}_{51_420 + y}.png"
            )
    return api.prepare("loc2vec", tile_folder=folder / "tiles", out=folder / "data")


@pytest.mark.parametrize("seed", range(8))
def test_blocks_are_held_out_whichever_they_are(rgb: Dataset, seed: int) -> None:
    """Invariant: both samplers draw from their own rows, also where the last places are not among them."""
    config, training = recipe("loc2vec").configure("founding-rgb", {"seed": seed, "dim": 8})
    built = build(rgb, config, training)
    assert built.split.held_out
    assert built.recipe.validation is not None
    for sampler in (built.recipe.sampler, built.recipe.validation):
        rows = set(sampler.rows.tolist())  # type: ignore[attr-defined]
        assert len(rows) < 300
        assert set(sampler.draw(0).looks["anchor"].rows.tolist()) <= rows


def test_it_trains_without_a_validation_dataset(rgb: Dataset, tmp_path: Path) -> None:
    """The command of someone who knows the founding system, and no further dataset; the last place is held out."""
    api.train(
        "loc2vec",
        rgb,
        out=tmp_path / "run",
        preset="founding-rgb",
        epochs=1,
        samples_per_epoch=32,
        projector=0,
    )
    (row,) = read_metrics(tmp_path / "run")
    assert np.isfinite(row["validation/loss"])
    config, training = recipe("loc2vec").configure("founding-rgb", {})
    assert 299 not in build(rgb, config, training).recipe.sampler.rows  # type: ignore[attr-defined]
