"""Hour, month and absolute time, from a table to predictions. Oracle: a label that is known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.embeddings import Embeddings
from placevec.errors import InputError, UsageError
from placevec.evaluation.predictions.split import held_out
from placevec.inference.query import ask
from placevec.io.progress import Silent
from placevec.models.model import Model

SMALL = {
    "encoder": "xyz",
    "hidden": 64,
    "dim": 16,
    "batch_size": 64,
    "learning_rate": 0.02,
    "dropout": 0.0,
    "epochs": 16,
}
READ = ("hour", "time")


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def table(count: int, seed: int) -> pd.DataFrame:
    """Warmest at two in the afternoon of the place, and half a degree warmer every year from 2000 to 2020."""
    random = np.random.default_rng(seed)
    lon, lat = random.uniform(-180, 180, count), random.uniform(-60, 60, count)
    when = pd.Timestamp("2000-01-01") + pd.to_timedelta(random.uniform(0, 7304 * 24, count), unit="h")
    hour = (when.hour + when.minute / 60 + lon / 15) % 24
    warmth = 8 * np.cos((hour - 14) / 24 * 2 * np.pi) + 0.5 * ((when - when.min()).days / 365.25)
    return pd.DataFrame({"lon": lon, "lat": lat, "warmth": warmth, "seen": when.strftime("%Y-%m-%dT%H:%M")})


def filled(dataset: Dataset) -> np.ndarray:
    """The times of places; where one is unknown noon, and the middle of the period."""
    found = dataset.labels().moments(READ)
    assert found is not None
    known = np.isfinite(found).all(axis=1)
    period = found[known, 1].min(), found[known, 1].max()
    return np.where(np.isfinite(found), found, [12.0, np.mean(period)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model, Said]:
    folder, said = tmp_path_factory.mktemp("times"), Said()
    rows = table(600, 1)
    rows.loc[:3, "seen"] = [
        "2004-06-03",
        "",
        "soon",
        "2004",
    ]  # a day, nothing, no date, a year: none has an hour
    rows.to_csv(folder / "p.csv", index=False)
    dataset = api.prepare(
        "sphere2vec", points=folder / "p.csv", label="warmth", date="seen", out=folder / "ds"
    )
    model = api.train(
        "sphere2vec",
        dataset,
        out=folder / "run",
        projector=0,
        progress=said,
        hours=1,
        clock="solar",
        trend=True,
        **SMALL,
    )
    return folder, model, said


def test_they_are_learned_and_kept_in_the_model(trained: tuple[Path, Model, Said]) -> None:
    """A label of hour and year alone is predicted at new places and times; a model without them cannot."""
    folder, _, said = trained
    assert Dataset.open(folder / "ds").manifest["report"]["dates"]["count"] == 598  # a year alone is a date
    assert any("4 places without a date with a time of day are left out" in line for line in said.lines)
    again = Model.load(folder / "run")
    assert again.times == READ
    rows = table(300, 2)
    found = again.predict_lonlat(rows, rows["seen"])[:, 0]
    errors = found - rows["warmth"].to_numpy()
    assert 1 - errors.var() / rows["warmth"].var() > 0.95
    turned = again.predict_lonlat(rows, pd.to_datetime(rows["seen"]) + pd.Timedelta(hours=12))[:, 0]
    assert np.corrcoef(turned, rows["warmth"])[0, 1] < 0  # midnight for noon
    dataset = Dataset.open(folder / "ds")
    split = held_out(again, dataset, dataset.labels())
    assert split.years is not None
    assert split.years[split.test].shape == (len(split.test), 2)
    np.testing.assert_allclose(
        again.vectors(dataset), again.embed_lonlat(dataset.lonlat, filled(dataset)), atol=1e-5
    )


def test_a_column_of_times_is_read_and_what_is_bad_counted(trained: tuple[Path, Model, Said]) -> None:
    folder, model, _ = trained
    rows = table(40, 3)
    rows.loc[:2, "seen"] = ["2004-06-03", "soon", "2035-01-01T12:00"]
    rows.to_csv(folder / "q.csv", index=False)
    said = Said()
    done = api.embed_points(model, folder / "q.csv", out=folder / "e.parquet", date="seen", progress=said)
    assert (done.count, done.left_out, done.undated) == (38, 2, 2)
    text = "\n".join(said.lines)
    assert "2 of 40 rows have no time from which the model can read the hour and the time" in text
    assert "1 of 40 times lie outside the period of training" in text
    read = Embeddings.load(folder / "e.parquet")
    kept = rows.iloc[2:]
    np.testing.assert_allclose(read.vectors, model.embed_lonlat(kept, kept["seen"]), atol=1e-5)
    end = kept.assign(seen=["2019-12-31T12:00", *kept["seen"][1:]])
    np.testing.assert_allclose(
        model.embed_lonlat(end, end["seen"])[0], read.vectors[0], atol=0.05
    )  # not extrapolated
    report = api.predict(model, folder / "p.parquet", points=folder / "q.csv", date="seen", progress=said)
    assert report.without == 2
    assert "the hour and the time: they stay in the table, without a prediction" in said.lines[-2]
    column = pq.read_table(folder / "p.parquet")["prediction"].to_pylist()
    assert column[:2] == [None, None]
    np.testing.assert_allclose(column[2:], model.predict_lonlat(kept, kept["seen"])[:, 0], atol=1e-4)


def test_one_time_for_all_points_and_maps(trained: tuple[Path, Model, Said]) -> None:
    folder, model, _ = trained
    rows, noon = table(10, 4), "2010-06-03T12:00"
    rows.to_csv(folder / "q.csv", index=False)
    api.predict(model, folder / "p.parquet", points=folder / "q.csv", date=noon)
    wanted = model.predict_lonlat(rows, [noon] * 10)[:, 0]
    np.testing.assert_allclose(pq.read_table(folder / "p.parquet")["prediction"], wanted, atol=1e-4)
    lonlat = rows[["lon", "lat"]].to_numpy()
    question = ask(model, date=noon)
    np.testing.assert_allclose(question.answers(lonlat)[:, 0], wanted, atol=1e-4)
    late = ask(model, date="2035-06-03T12:00")
    assert late.unsupported(lonlat).all()
    assert (late.layers(lonlat)[:, -1] == 0).all()
    assert not question.unsupported(lonlat).all()
    said = Said()
    for date in (noon, "2035-06-03T12:00"):
        api.predict(model, folder / "m.tif", date=date, resolution=60, progress=said)
    assert len(said.lines) == 1
    assert "outside the period of training, 2000.0" in said.lines[0]
    with rasterio.open(folder / "m.tif") as file:
        assert file.tags()["SUPPORT"].startswith("0 everywhere: the date lies outside")
        assert (file.read(file.count) == 0).all()
    for given, message in (
        ({}, r"trained with dates \(hour, time\): set the date with --date"),
        ({"year": 0.5}, "set the date with --date"),
        ({"year": 0.5, "date": noon}, "give one of them"),
        ({"date": "2010-06-03"}, "--date: 1 of 1 times cannot be used"),
    ):
        with pytest.raises(UsageError, match=message):
            ask(model, **given)


def test_options_that_the_dates_do_not_allow(tmp_path: Path) -> None:
    rows = table(60, 5)
    rows["seen"] = rows["seen"].str[:10]
    rows.to_csv(tmp_path / "p.csv", index=False)
    dataset = api.prepare(
        "sphere2vec", points=tmp_path / "p.csv", label="warmth", date="seen", out=tmp_path / "ds"
    )
    with pytest.raises(InputError, match="no place has what --hours needs: --hours needs times"):
        api.train("sphere2vec", dataset, out=tmp_path / "run", projector=0, hours=1, **SMALL)
    with pytest.raises(UsageError, match="--clock applies to --hours"):
        api.train("sphere2vec", dataset, out=tmp_path / "run", projector=0, clock="solar", **SMALL)
    model = api.train(
        "sphere2vec", dataset, out=tmp_path / "run", projector=0, months=True, **{**SMALL, "epochs": 1}
    )
    assert model.embed_lonlat([[24.9, 60.2]], ["2001-03"]).shape == (1, 16)
