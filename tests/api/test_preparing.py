"""What reaches the ``prepare`` of a recipe. Oracle: a recipe that writes down what it was handed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import placevec as pv
from placevec.errors import UsageError
from placevec.geo import Area
from placevec.io.progress import Progress
from placevec.options import option
from placevec.preparation.options import AreaOptions
from placevec.recipes import RECIPES
from placevec.recipes.base import RecipeEntry
from placevec.training import TrainingOptions
from tests.preparation.tiles.test_folder import masks, write


@dataclass(frozen=True)
class Asked(AreaOptions):
    """Options of the recipe ``points``."""

    points: Path | None = option(None, "Table of points")
    label: str | None = option(None, "Column to predict")


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the recipe ``points`` was handed."""
    found: dict[str, Any] = {}
    module = ModuleType("tests.recipe_of_points")

    def prepare(out: Path, options: Asked, *, created: str, progress: Progress) -> None:
        given = {"points": options.points, "area": options.area(), "label": options.label}
        found.update({name: value for name, value in given.items() if value is not None})

    module.prepare = prepare  # type: ignore[attr-defined]
    module.RECIPE = RecipeEntry(  # type: ignore[attr-defined]
        "points", "", TrainingOptions, Asked, f"{module.__name__}:prepare", f"{module.__name__}:build"
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(RECIPES.builtin, "points", f"{module.__name__}:RECIPE")
    return found


def test_only_what_is_given_reaches_a_recipe(handed: dict[str, Any], tmp_path: Path) -> None:
    pv.prepare("points", out=tmp_path / "data", points="a.csv", bbox="1,2,3,4")
    assert handed == {"points": Path("a.csv"), "area": Area(1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 9}, "--threshold is an option of prepare loc2vec"),
        ({"all_tiles": True}, "--all-tiles is an option of prepare loc2vec"),
        ({"spacing": 60.0}, "--spacing is an option of prepare loc2vec"),
        ({"labels": "kind"}, "prepare points has no option --labels; did you mean --label[?]"),
        ({"pbox": "1,2,3,4"}, "did you mean --bbox[?]"),
    ],
)
def test_what_a_recipe_has_no_use_for_is_rejected(
    handed: dict[str, Any], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        pv.prepare("points", out=tmp_path / "data", points="a.csv", **options)
    assert not handed
    assert not (tmp_path / "data").exists()


def test_loc2vec_takes_no_points(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="--points is an option of prepare sphere2vec, not of prepare loc2vec"
    ):
        pv.prepare("loc2vec", out=tmp_path / "data", osm_name="helsinki-center", points="a.csv")


def test_workers_read_folders_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from placevec.preparation.tiles import folder as folder_dataset

    used: list[int] = []
    original = folder_dataset.write_tile_map

    def watched(*arguments: Any, **options: Any) -> Any:
        used.append(options["threads"])
        return original(*arguments, **options)

    monkeypatch.setattr(folder_dataset, "write_tile_map", watched)
    folder = write(tmp_path / "tiles", masks())
    hashes = {
        pv.prepare("loc2vec", out=tmp_path / f"of{workers}", tile_folder=folder, workers=workers).hash
        for workers in (1, 5)
    }
    assert used == [2, 5]
    assert len(hashes) == 1
