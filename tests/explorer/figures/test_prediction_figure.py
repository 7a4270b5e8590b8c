"""Figures, kernels and charts: what is in them is what the models say; hostile names are letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import box

from placevec import api, cli
from placevec.errors import PlacevecError
from placevec.explorer.figures import charts
from placevec.explorer.figures import prediction_figure as distribution_figure
from placevec.explorer.figures.canvas import shown
from placevec.explorer.figures.charts import Evaluated, bands, write_curves, write_latitude
from placevec.explorer.figures.kernels import circles, similarity, write_kernels
from placevec.explorer.figures.predictions import limits_of, sampled
from placevec.geo import distance_m
from tests.inference.closed_form import HOSTILE, closed_form, expected


def test_a_figure_of_two_models_and_two_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the closed form at the places that the canvas shows, a row a class and a column a model."""
    seen = []
    values = distribution_figure._values
    monkeypatch.setattr(
        distribution_figure, "_values", lambda *given: seen.append((given, values(*given))) or seen[-1][1]
    )
    closed_form(tmp_path / "one", classes=HOSTILE)
    closed_form(tmp_path / "two", "classes", classes=HOSTILE)
    report = api.predict(
        [tmp_path / "one", tmp_path / "two"], tmp_path / "a.png", classes=[HOSTILE[2], HOSTILE[0]],
    )  # fmt: skip
    (_, canvas, *_), found = seen[0]
    assert found.shape == (2, 2, *canvas.shape)
    shows = canvas.shows
    for column, kind in enumerate(("presence", "classes")):
        wanted = expected(canvas.lonlat[shows], kind)  # type: ignore[arg-type]
        for row, number in enumerate((2, 0)):
            np.testing.assert_allclose(found[row, column][shows], wanted[:, number], atol=2e-6)
    assert np.isnan(found[..., ~shows]).all()
    assert 0.98 < float(np.nanmax(found)) < 1  # near enough to 1 for colors that end there
    assert report.highest == 1.0  # type: ignore[union-attr]
    picture = Image.open(report.path)
    assert picture.format == "PNG"
    assert picture.size[0] == 2200


def words_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written in pictures from now on."""
    from matplotlib.text import Text

    found: list[str] = []
    draw = Text.draw
    monkeypatch.setattr(
        Text,
        "draw",
        lambda self, *given, **named: found.append(self.get_text()) or draw(self, *given, **named),
    )
    return found


def test_a_scale_that_reaches_nearly_1_names_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = words_of(monkeypatch)
    closed_form(tmp_path / "m")
    report = api.predict(tmp_path / "m", tmp_path / "a.png", classes=["north"])
    assert "1.0" in words
    assert report.summary == "1 map, colors from 0 to 1"


def test_a_number_is_called_as_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In figure and page, as letters. Models of two labels share a figure without either's name."""
    words = words_of(monkeypatch)
    models = [closed_form(tmp_path / name, "number") for name in ("a", "b")]
    for model, label in zip(models, (HOSTILE[1], "rain"), strict=True):
        model.training["label"] = label
    api.predict(models[0], tmp_path / "a.png", bbox=(0, 0, 10, 10))
    assert shown(HOSTILE[1], 80) in words
    assert any(line.endswith(f"in the unit of {shown(HOSTILE[1], 60)}") for line in words)
    models[0].training["label"] = HOSTILE[0]
    page = api.predict(models[0], tmp_path / "a.html", resolution=30)
    assert "1 map," in page.summary
    assert HOSTILE[0] not in page.path.read_text()
    assert "<title>&lt;/script&gt;" in page.path.read_text()
    words.clear()
    api.predict(models, tmp_path / "both.png", bbox=(0, 0, 10, 10))
    assert "number" in words


def test_meridians_and_parallels_of_a_region_have_degrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: multiples of 5 degrees in the box, also beyond the antimeridian; the world has none."""
    words = words_of(monkeypatch)
    model = closed_form(tmp_path / "m")
    api.predict(model, tmp_path / "a.png", classes=["north"], bbox=(168, -8, -168, 8))
    assert {"170°E", "175°E", "180°", "175°W", "170°W", "5°S", "0°", "5°N"} == {w for w in words if "°" in w}
    words.clear()
    api.predict(model, tmp_path / "b.png", classes=["north"])
    assert not any("°" in word for word in words)


def test_which_of_several_models_cannot_answer_is_said(tmp_path: Path) -> None:
    models = [closed_form(tmp_path / "trees"), closed_form(tmp_path / "rain", "number")]
    with pytest.raises(PlacevecError, match=r"^rain: this model predicts a number"):
        api.predict(models, tmp_path / "a.png", classes=["north"])
    with pytest.raises(PlacevecError, match=r"^this model predicts a number"):
        api.predict(models[1], tmp_path / "a.png", classes=["north"])


def test_only_the_land_is_colored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed_form(tmp_path / "m")
    asked = []
    answers = distribution_figure.Question.answers

    def noted(self: object, lonlat: np.ndarray) -> np.ndarray:
        asked.append(lonlat)
        return answers(self, lonlat)  # type: ignore[arg-type]

    monkeypatch.setattr(distribution_figure.Question, "answers", noted)
    (tmp_path / "land.geojson").write_text(json.dumps(box(-50, -10, 10, 40).__geo_interface__))
    api.predict(
        tmp_path / "m", tmp_path / "a.png", classes=["north"], land=tmp_path / "land.geojson", land_only=True,
        bbox=(-60, -20, 20, 50),
    )  # fmt: skip
    places = np.concatenate(asked)
    assert (places >= [-50, -10]).all()
    assert (places <= [10, 40]).all()
    assert len(places) > 1000


def test_scales_of_colors() -> None:
    assert limits_of(np.array([0.1, np.nan, 0.4], np.float32), False) == pytest.approx((0.0, 0.4))
    assert limits_of(np.array([0.1, 0.99999], np.float32), False) == (0.0, 1.0)
    assert limits_of(np.array([0.1, 0.94], np.float32), False) == pytest.approx((0.0, 0.94))
    assert limits_of(np.full(5, np.nan, np.float32), False) == (0.0, 1.0)
    assert limits_of(np.zeros(5, np.float32), False) == (0.0, 1.0)
    assert limits_of(np.full(5, 3.0, np.float32), True) == (2.5, 3.5)
    low, high = limits_of(np.r_[np.linspace(0, 100, 1001), 1e9].astype(np.float32), True)
    assert (0.5 < low < 1.5, 98 < high < 100) == (True, True)
    dots = sampled([np.zeros((6000, 2)), np.array([[1.0, np.nan], [1.0, 2.0]])], 0)
    assert dots is not None
    assert [len(one) for one in dots] == [5000, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "a.jpg"}, "must end in"),
        ({"out": "a.tif", "models": 2}, "shows the predictions of one model"),
        ({"out": "a.parquet"}, "needs points"),
        ({"out": "a.png", "resolution": 1.0}, "its own pixels"),
        ({"out": "a.html", "own_scales": True}, "applies only to .png"),
        ({"out": "a.tif", "show_points": True}, "covers an area"),
        ({"out": "a.tif", "title": "x"}, "--title"),
        ({"out": "a.png", "show_points": True}, "not at its recorded path"),
        ({"out": "a.html", "resolution": 0.01}, "too large for a page"),
        ({"out": "a.png", "bbox": "1,2,3"}, "four numbers"),
        ({"out": "a.png", "land": "absent.geojson"}, "absent"),
        ({"out": "a.png", "models": 0}, "give a model"),
        ({"out": "a.png", "classes": ["nothing"]}, "has no class"),
    ],
)
def test_what_does_not_go_together_is_one_clear_line(
    options: dict[str, object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = closed_form(tmp_path / "m")
    options = {"classes": ["north"], **options}
    count, out = options.pop("models", 1), str(options.pop("out"))
    with pytest.raises(PlacevecError, match=words):
        api.predict([model] * int(str(count)), out, **options)  # type: ignore[arg-type]
    assert not Path(out).exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed_form(tmp_path / "m", classes=HOSTILE)
    command = ["predict", str(tmp_path / "m"), "--class", HOSTILE[0], "--out", str(tmp_path / "a.tif")]
    assert cli.main([*command, "--resolution", "20", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "18 x 9 cells" in printed
    assert cli.main([*command, "--resolution", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["width"] == 18
    assert cli.main(["predict", str(tmp_path / "m"), "--out", str(tmp_path / "a.tif"), "--class", "x"]) == 2
    error = capsys.readouterr().err
    assert "\u202e" not in error
    assert len(error.strip().splitlines()) == 1


# --- kernels ---------------------------------------------------------------------------------------------------


def test_circles_lead_from_the_place_to_its_antipode() -> None:
    """Oracle: distances on the ellipsoid, which differ from those on the sphere by at most 0.6 %."""
    found = circles(24.94, 60.17)
    np.testing.assert_allclose(found[:, 0], np.broadcast_to([24.94, 60.17], (len(found), 2)), atol=1e-6)
    np.testing.assert_allclose(found[:, -1, 1], -60.17, atol=1e-6)
    middle = found[:, 60]
    away = distance_m(np.full(len(middle), 24.94), np.full(len(middle), 60.17), middle[:, 0], middle[:, 1])
    np.testing.assert_allclose(away, 6371008.8 * np.pi * 60 / 239, rtol=0.006)


def test_the_similarity_of_xyz_is_the_cosine_of_the_distance(tmp_path: Path) -> None:
    import placevec as pv

    encoder = pv.encoders.location("xyz", network="none")
    places = circles(179.5, -17.0).reshape(-1, 2)
    found = similarity(lambda at: encoder.features(at[:, 0], at[:, 1]).numpy(), (179.5, -17.0), places)
    wanted = np.cos(np.tile(np.linspace(0, np.pi, 240), 24))
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    silent = similarity(lambda at: np.zeros((len(at), 4)), (0.0, 0.0), places)
    assert (silent == 0).all()


def test_kernels_of_names_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed_form(tmp_path / "run")
    out = tmp_path / "k.png"
    command = [
        "picture",
        "kernels",
        str(tmp_path / "run"),
        "spheregrid",
        "--scales",
        "4",
        "--out",
        str(out),
        "--json",
    ]
    assert cli.main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["encoders"] == ["run", "sphereC+"]
    assert told["lowest"] == pytest.approx(-1.0, abs=1e-3)
    assert Image.open(out).size[0] == 2200
    for wrong, words in (
        (["picture", "kernels", "speregrid", "--out", str(out)], "did you mean"),
        (["picture", "kernels", "grid", "--at", "10", "--out", str(out)], "--at must be lon,lat"),
        (["picture", "kernels", "grid", "--at", "10,100", "--out", str(out)], "100"),
        (
            ["picture", "kernels", "grid", "--band", "3", "--out", str(out)],
            "--band is an option of picture latitude, not",
        ),
        (["picture", "kernels", "grid", "--out", "k.pdf"], "end in .png"),
        (["picture", "curves", "nowhere", "--out", str(out)], "no run"),
    ):
        assert cli.main(wrong) in (1, 2)
        assert words in capsys.readouterr().err
    with pytest.raises(PlacevecError, match="1 to 8"):
        write_kernels([], (0.0, 0.0), out)


# --- charts ----------------------------------------------------------------------------------------------------


def test_bands_of_latitude() -> None:
    """Oracles: counts by hand, and Wilson's interval as statsmodels prints it for 8 of 10 (0.4902, 0.9433)."""
    lat = np.r_[np.full(10, 89.0), np.full(3, 40.0), np.full(6, -90.0)]
    right = np.r_[np.ones(8), np.zeros(2), np.ones(3), np.zeros(6)]
    rows = bands(Evaluated("a", lat, right, False, "test"), 15.0)
    assert [(row["south"], row["north"], row["places"], row["mean"]) for row in rows] == [
        (-90.0, -75.0, 6, 0.0), (75.0, 90.0, 10, 0.8),
    ]  # fmt: skip
    assert (round(rows[1]["low"], 4), round(rows[1]["high"], 4)) == (0.4902, 0.9433)
    errors = bands(Evaluated("a", np.zeros(4000), np.tile([1.0, 3.0], 2000), True, "test"), 90.0)
    assert errors[0]["mean"] == 2.0
    assert errors[0]["high"] - 2.0 == pytest.approx(1.96 / np.sqrt(4000), rel=1e-2)


def test_charts_are_written_and_show_their_numbers(tmp_path: Path) -> None:
    one = Evaluated(HOSTILE[0], np.linspace(-90, 90, 200), np.ones(200), False, "test")
    other = Evaluated("$\\frac", np.linspace(-90, 90, 200), np.zeros(200), False, "test")
    report = write_latitude([one, other], tmp_path / "l.png", band=30.0, credit="\u202e©")
    assert [row["places"] for row in report.rows[:6]] == [34, 33, 33, 33, 33, 34]
    rows = [
        {"step": step, "loss/train": 1.0 / step, "validation/loss": 2.0, "validation/top1": 0.5}
        for step in (1, 2)
    ]
    curves = write_curves({HOSTILE[1]: rows, "b": rows[:1]}, tmp_path / "c.png")
    assert len(curves.rows) == 9
    assert {row["metric"] for row in curves.rows} == {"loss/train", "validation/loss", "validation/top1"}
    for name in ("l.png", "c.png"):
        assert Image.open(tmp_path / name).size == (1440, 1024)
    with pytest.raises(PlacevecError, match="not finished an epoch"):
        write_curves({"a": []}, tmp_path / "d.png")
    with pytest.raises(PlacevecError, match="choose from loss/train"):
        write_curves({"a": rows}, tmp_path / "d.png", metric="nothing")
    with pytest.raises(PlacevecError, match="draw them separately"):
        write_latitude([one, Evaluated("n", one.lat, one.right, True, "test")], tmp_path / "d.png")
    with pytest.raises(PlacevecError, match="--band"):
        write_latitude([Evaluated("a", np.zeros(2), np.ones(2), False, "test")], tmp_path / "d.png")


def test_the_axis_of_latitude_fits_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the bands of 15 degrees that hold places, 30 to 75, and a margin of 4 % of them."""
    figures = figures_of(monkeypatch)
    for south, north, ends in ((36.0, 71.0, (28.2, 76.8)), (-90.0, 90.0, (-90.0, 90.0))):
        write_latitude(
            [Evaluated("a", np.linspace(south, north, 500), np.ones(500), False, "test")], tmp_path / "l.png"
        )
        for axes in figures.pop().axes:
            low, high = axes.get_xlim()
            assert low == pytest.approx(ends[0])
            assert high == pytest.approx(ends[1])


def test_curves_without_a_shared_measure_fill_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of classes and of numbers share the loss alone: one chart, of the whole height, with its axis named."""
    figures = figures_of(monkeypatch)
    runs = {
        name: [{"step": step, "loss/train": 1.0, "validation/loss": 2.0, f"validation/{measure}": 0.5} for step in (1, 2)]
        for name, measure in (("a", "top1"), ("b", "r2"))
    }  # fmt: skip
    write_curves(runs, tmp_path / "c.png")
    (axes,) = figures.pop().axes
    assert axes.get_position().height > 0.7
    assert "step" in axes.get_xlabel()
    write_curves({"a": runs["a"]}, tmp_path / "c.png")
    upper, lower = figures.pop().axes
    assert not upper.get_xlabel()
    assert "step" in lower.get_xlabel()


def figures_of(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Charts saved from now on, as Matplotlib has them."""
    found: list[Any] = []
    save = charts.save_figure
    monkeypatch.setattr(
        charts, "save_figure", lambda figure, *given: found.append(figure) or save(figure, *given)
    )
    return found
