"""``placevec evaluate`` from end to end: a distribution, regions and a learning curve on real vectors; CityRep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from placevec.api.evaluating import evaluate
from placevec.cli import main
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.evaluation import engine
from tests.evaluation import test_cityrep as cityrep
from tests.evaluation.test_kinds import SMALL


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.BUDGETS, "quick", SMALL)


def quick(*arguments: Any, out: Path) -> tuple[int, list[dict[str, Any]]]:
    """(exit code, the tasks of the report)."""
    code = main(
        [
            *map(
                str,
                ("evaluate", *arguments, "--budget", "quick", "--seeds", 1, "--folds", 2, "-q", "-o", out),
            )
        ]
    )
    file = out / "report.json"
    return code, json.loads(file.read_text())["tasks"] if file.exists() else []


def test_labels_regions_and_a_curve(
    helsinki_dataset: Dataset, helsinki_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lonlat, ids = helsinki_dataset.lonlat, helsinki_dataset.places["place_id"]
    middle = float(np.median(lonlat[:, 0]))
    young = np.round((lonlat[:, 1] - lonlat[:, 1].min()) / np.ptp(lonlat[:, 1]), 3)
    frame = pd.DataFrame(
        {"place_id": ids, "young": young, "old": 1 - young, "use": np.where(young * 12 % 2 < 1, "a", "b")}
    )
    frame.to_csv(tmp_path / "labels.csv", index=False)
    halves = [shapely.box(24, 60, middle, 61), shapely.box(middle, 60, 26, 61)]
    geopandas.GeoDataFrame({"name": ["west", "east"]}, geometry=halves, crs=4326).to_file(
        tmp_path / "halves.gpkg"
    )
    labels = ("--labels", tmp_path / "labels.csv", "--tasks", "landuse")
    code, tasks = quick(
        helsinki_table, *labels, "--columns", "young,old", "--kind", "distribution", "--regions",
        tmp_path / "halves.gpkg", "--learning-curve", out=tmp_path / "shares",
    )  # fmt: skip
    assert code == 0
    found = {one["task"]: one for one in tasks}["labels"]
    assert (found["kind"], found["metric"], found["folds"]) == ("distribution", "L1", 2)
    assert all(set(row["by_region"]) == {"east", "west"} for row in found["rows"])
    assert found["curve"][-1]["share"] == 1.0
    assert capsys.readouterr().out.splitlines()[0].startswith(("landuse: ", "labels: "))
    for wrong, message in (
        (("--kind", "presence"), "add --labels FILE"),
        ((*labels, "--columns", "young,use", "--kind", "distribution"), "has values that are not numbers"),
        ((*labels, "--regions", "nowhere"), "--regions nowhere"),
    ):
        code, tasks = quick(helsinki_table, *wrong, out=tmp_path / "none")
        error = capsys.readouterr().err.strip()
        assert code != 0
        assert not tasks
        assert message in error
        assert len(error.splitlines()) == 1


def test_cityrep_is_evaluated_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, table = cityrep.write(tmp_path / "cityrep", (cityrep.POPULATION,)), tmp_path / "e.parquet"
    cityrep.vectors().save(table)
    asked = ("--cityrep", folder, "--tasks", cityrep.POPULATION)
    code = main(
        [*map(str, ("evaluate", table, *asked, "--cityrep-model", "ours", "--budget", "quick", "-q"))]
    )
    assert code == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("rome.population.2024: ")
    assert "ours" in (folder / "baselines" / "registry" / "embedding_manifest.csv").read_text()
    capsys.readouterr()
    assert main(["evaluate", str(table), "--cityrep", str(tmp_path / "absent"), "-q"]) != 0
    assert "does not exist" in capsys.readouterr().err
    for wrong in ({"cityrep": folder, "labels": "l.csv"}, {"cityrep_model": "ours"}):
        with pytest.raises(UsageError, match="cityrep"):
            evaluate(table, **wrong)
