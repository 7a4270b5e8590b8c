"""Oracles: Holm's procedure by hand, intervals of differences known by construction."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from placevec.evaluation import point_baselines as baselines
from placevec.evaluation.bootstrap import holm
from placevec.evaluation.location_encoders import plots
from placevec.evaluation.location_encoders import run as running
from placevec.evaluation.location_encoders.candidates import candidates
from placevec.evaluation.location_encoders.compare import (
    OVERALL,
    Group,
    compared,
    corrections,
    mean_ranks,
    pooled,
)
from placevec.evaluation.location_encoders.plots import write_plots
from placevec.evaluation.location_encoders.results import Unit
from placevec.evaluation.location_encoders.run import Benchmark, Outcome
from placevec.evaluation.location_encoders.strata import ANTIMERIDIAN, POLES, near_antimeridian, strata_of
from placevec.evaluation.location_encoders.table import Results
from placevec.evaluation.results import Row
from placevec.geo import distance_m
from tests.evaluation.location_encoders.test_run import smooth_task


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    held = Benchmark(
        [smooth_task(), smooth_task(kind="classification", name="classes")], candidates(["xyz", "wrap", "rff"]),
        tmp_path_factory.mktemp("benchmark"), ("ridge",), ("random",), seeds=2, folds=3,
    )  # fmt: skip
    outcome = running.run(held)
    return Results(list(compared(held, outcome.done)), about={"points": 300}, outcome=outcome)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_what_is_linear_in_xyz_is_learned_and_the_mean_is_not(results: Results) -> None:
    group = results.groups[0]
    xyz, mean = group.row("xyz").score, group.row(baselines.MEAN).score
    assert xyz.value > 0.97
    assert xyz.low <= xyz.value <= xyz.high
    assert abs(mean.value) < 0.1
    assert group.seeds == 2
    values = [row.score.value for row in group.encoders]
    assert values == sorted(values, reverse=True)
    assert group.encoders[0].name in group.like_best


def test_wrap_does_not_differ_from_the_baseline_of_its_features(results: Results) -> None:
    """Corrected wrap and the baseline of sines are the same four features: the difference is zero in every draw."""
    group = results.groups[0]
    wrap, sines = group.row("wrap").score, group.row(baselines.SINES).score
    np.testing.assert_allclose(wrap.draws, sines.draws, atol=1e-9)
    pair = group.against_best("wrap")
    assert pair is not None
    assert pair.verdict == "no significant difference" or group.best_baseline != baselines.SINES


def test_latitude_doubled_does_not_separate_the_poles(results: Results) -> None:
    """Original wrap sends both poles to one code, so on a function that is odd in latitude it must lose.

    By how much is alike over hemispheres, which count as few independent blocks: the interval over blocks holds zero.
    """
    found = {
        one.encoder: one
        for one in corrections(results.groups)
        if one.task == "smooth" and one.stratum == OVERALL
    }
    assert found["wrap"].difference.value > 0
    assert found["wrap"].difference.errors[0] < found["wrap"].difference.value / 2.0
    mean = pooled([found["wrap"], found["wrap"]])
    assert mean.value == pytest.approx(found["wrap"].difference.value)


def test_tied_encoders_keep_the_order_of_the_first_group(results: Results) -> None:
    """Ranks 1 to 8 and 8 to 1 are all tied; names in a set would come in another order in every process."""
    names = [f"encoder {number}" for number in range(8)]
    score = results.groups[0].encoders[0].score

    def group(order: list[str]) -> Group:
        return replace(results.groups[0], rows=[Row(name, {"R²": score}) for name in order])

    ranks = mean_ranks([group(names), group(names[::-1])])
    assert {rank.value for rank in ranks.values()} == {4.5}
    assert list(ranks) == names


def test_tables_say_everything(results: Results, tmp_path: Path) -> None:
    text = results.to_markdown()
    for words in (
        "## smooth",
        "## classes",
        "mean ranks",
        "corrected against original",
        "R²",
        "accuracy",
        "wrap (original)",
    ):
        assert words in text
    results.save(tmp_path)
    with open(tmp_path / "results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"smooth", "classes"}
    overall = [row for row in rows if row["stratum"] == OVERALL]
    assert len(overall) == 2 * (5 + len(baselines.BASELINES))
    assert all(float(row["low"]) <= float(row["high"]) for row in overall)
    assert results.as_dict()["tasks"][0]["rows"][0]["name"] == results.groups[0].encoders[0].name


def test_what_was_left_out_is_said(results: Results) -> None:
    unit = Unit("elsewhere", "blocks", 1, "kNN")
    text = replace(results, outcome=Outcome((), (unit,), 1.0)).to_markdown()
    assert "## Left out" in text
    assert "elsewhere (blocks)" in text


def test_pictures_are_drawn(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    written = write_plots(results.groups, tmp_path)
    assert [path.name for path in written] == ["smooth.png", "classes.png", "corrected-against-original.png"]
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_strata_without_points_have_no_panel(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data away from the antimeridian and the poles: one panel, not two empty frames beside it."""
    pytest.importorskip("matplotlib")
    found: list[list[str]] = []
    monkeypatch.setattr(
        plots, "_save", lambda figure, _: found.append([axes.get_title(loc="left") for axes in figure.axes])
    )
    held = [one for one in corrections(results.groups) if one.stratum == OVERALL]
    for some in (held, [*held, *(replace(one, stratum=POLES) for one in held)]):
        monkeypatch.setattr(plots, "corrections", lambda _, some=some: some)
        plots.write_plots(results.groups, tmp_path)
    assert found[2] == [OVERALL]
    assert found[5] == [OVERALL, f"near: {POLES}"]


def test_sentences_of_a_table_end_once(results: Results) -> None:
    """One task is no ``1 tasks``, and no sentence ends twice."""
    text = replace(results, results=results.results[:1]).to_markdown()
    assert ". ." not in text
    assert "1 tasks" not in text
    assert ": 1 task" in text


def test_strata_by_distance_on_the_ellipsoid() -> None:
    """Within 500 km of the antimeridian, but for the 0.3 % in which sphere and ellipsoid differ."""
    random = np.random.default_rng(0)
    lonlat = np.stack([random.uniform(165, 195, 400), random.uniform(-80, 80, 400)], axis=-1)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    lats = np.linspace(-89, 89, 1781)
    near = np.array([distance_m(lon, lat, 180.0, lats).min() for lon, lat in lonlat])
    sure = np.abs(near / 500_000 - 1) > 0.005
    np.testing.assert_array_equal(near_antimeridian(lonlat)[sure], near[sure] < 500_000)
    further = np.ones(400, bool)
    strata = strata_of(lonlat, further)
    assert not strata["below 30°"].any()
    assert strata[ANTIMERIDIAN].any()
