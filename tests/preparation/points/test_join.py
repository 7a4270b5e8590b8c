"""Labels for places that are there already. Oracles: the table itself, and the dataset that is made of it alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, PlacevecError, SourceError
from tests.preparation.chips.test_images import write as write_image


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return api.prepare(
        "loc2vec",
        osm_name="helsinki-center",
        out=tmp_path_factory.mktemp("grid") / "ds",
        spacing=80,
        size_m=120,
    )


@pytest.fixture
def dataset(grid: Dataset, tmp_path: Path) -> Dataset:
    """The example of the handbook: `prepare loc2vec --osm-name helsinki-center`, whose places nobody named."""
    return Dataset.open(shutil.copytree(grid.path, tmp_path / "ds"))


def trees(dataset: Dataset, count: int = 150, seed: int = 0) -> pd.DataFrame:
    """Labels of some of the places, in another order than theirs."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(dataset))[:count]
    frame = dataset.places.iloc[rows][["place_id", "lon", "lat"]].reset_index(drop=True)
    frame["species"] = random.choice(["oak", "elm", "fir"], count)
    frame["girth"] = random.normal(80, 20, count).round(2)
    frame["who"] = random.choice(["ann", "bo"], count)
    frame["day"] = random.random(count).round(4)
    return frame


def label(out: Path, frame: pd.DataFrame, tmp_path: Path, label: str = "species", **options: Any) -> Dataset:
    frame.to_csv(tmp_path / "trees.csv", index=False)
    return api.prepare("sphere2vec", points=tmp_path / "trees.csv", label=label, out=out, **options)


def expected(dataset: Dataset, frame: pd.DataFrame, column: str) -> pd.Series:
    return dataset.places[["place_id"]].merge(frame, on="place_id", how="left")[column]


@pytest.mark.parametrize("kept", [["place_id"], ["lon", "lat"], ["place_id", "lon", "lat"]])
def test_labels_join_by_id_or_by_coordinates(dataset: Dataset, tmp_path: Path, kept: list[str]) -> None:
    frame = trees(dataset)
    before = {path.name: path.read_bytes() for path in dataset.path.glob("*.*")}
    labeled = label(dataset.path, frame[[*kept, "species", "who", "day"]], tmp_path, user="who", date="day")
    after = {path.name: path.read_bytes() for path in dataset.path.glob("*.*")}
    assert {name: after[name] for name in before if name != "dataset.json"} == {
        name: content for name, content in before.items() if name != "dataset.json"
    }
    labels = labeled.labels()
    wanted = expected(dataset, frame, "species")
    assert labels.classes == ("elm", "fir", "oak")
    named = [one if isinstance(one, str) else None for one in wanted]
    assert [labels.classes[code] if code >= 0 else None for code in labels.values] == named
    days = expected(dataset, frame, "day").to_numpy()
    assert labels.dates is not None
    np.testing.assert_allclose(labels.dates, days, atol=1e-12)
    people = expected(dataset, frame, "who")
    first = frame["who"].iloc[0]
    assert labels.users is not None
    assert (labels.users == 0).tolist() == (people == first).tolist()
    assert (labels.users == -1).tolist() == people.isna().tolist()
    assert labeled.view_names == ("map",)
    assert labeled.descends_from(dataset.hash)
    assert not list(dataset.path.glob(".*"))


def test_the_split_is_that_of_the_table_alone(dataset: Dataset, tmp_path: Path) -> None:
    frame = trees(dataset)
    for number, options in enumerate(({}, {"block_m": 300.0, "test_share": 0.3}, {"split": "side"})):
        given = frame.assign(side=np.random.default_rng(1).choice(["train", "val", "test"], len(frame)))
        alone = label(tmp_path / f"alone {number}", given, tmp_path, **options)
        out = tmp_path / f"joined {number}"
        shutil.copytree(dataset.path, out)
        joined = label(out, given, tmp_path, **options)
        whole = pd.Series(alone.labels().split, index=alone.places["place_id"])
        found = pd.Series(joined.labels().split, index=joined.places["place_id"])
        assert found[whole.index].tolist() == whole.tolist()
        others = found.drop(whole.index)
        if options.get("block_m"):  # a place without a label lies on the side of its block
            assert set(others) == {0, 1, 2}
        else:
            assert set(others) == {0}
        assert joined.manifest["report"]["split"] == alone.manifest["report"]["split"]


def test_numbers_and_rare_classes(dataset: Dataset, tmp_path: Path) -> None:
    frame = trees(dataset)
    frame.loc[3, "girth"] = np.nan
    labeled = label(dataset.path, frame, tmp_path, "girth")
    np.testing.assert_allclose(labeled.labels().values, expected(dataset, frame, "girth").to_numpy())
    assert labeled.manifest["report"]["left_out"] == {"no label": 1}


def test_a_class_that_is_left_out_is_unknown(dataset: Dataset, tmp_path: Path) -> None:
    frame = trees(dataset)
    frame.loc[[5, 6], "species"] = "yew"
    labeled = label(dataset.path, frame, tmp_path, min_per_class=3)
    assert labeled.labels().classes == ("elm", "fir", "oak")
    assert int(labeled.labels().known.sum()) == 148
    assert labeled.manifest["report"]["left_out"] == {"of a class with too few rows": 2}


def test_the_same_command_reuses_and_others_are_named(dataset: Dataset, tmp_path: Path) -> None:
    frame = trees(dataset)
    labeled = label(dataset.path, frame, tmp_path)
    assert label(dataset.path, frame, tmp_path).hash == labeled.hash
    again = api.prepare("loc2vec", osm_name="helsinki-center", out=dataset.path, spacing=80, size_m=120)
    assert again.hash == labeled.hash
    with pytest.raises(DatasetError, match=r"holds labels .* made from other inputs: --min-per-class"):
        label(dataset.path, frame, tmp_path, min_per_class=2)
    with pytest.raises(DatasetError, match=r"holds labels .* made from other inputs: --label"):
        label(dataset.path, frame, tmp_path, "who")
    with pytest.raises(
        DatasetError, match=r"holds labels .* made from other inputs: the content of 'points'"
    ):
        label(dataset.path, frame[:100], tmp_path)
    with pytest.raises(DatasetError, match=r"holds places made from other inputs: --spacing"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=dataset.path, spacing=60, size_m=120)
    assert Dataset.open(dataset.path).hash == labeled.hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"place_id": [f"x{row}" for row in range(150)]},
            r"150 of 150 rows of trees\.csv have an ID that matches no place, such as row 1, place_id 'x0'",
        ),
        (
            {"lon": 1.0},
            r"its places do not match: 150 of 150 rows of trees\.csv are more than 100 m from the place with their ID",
        ),
        (
            {"place_id": None, "lon": 0.0005},
            r"150 of 150 rows of trees\.csv are not within 1 m of any place, such as row 1, lon=",
        ),
    ],
)
def test_other_places_are_rejected_by_name(
    dataset: Dataset, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    frame = trees(dataset)
    if "lon" in change:
        frame["lon"] += change["lon"]
    if "place_id" in change:
        frame = (
            frame.drop(columns="place_id")
            if change["place_id"] is None
            else frame.assign(place_id=change["place_id"])
        )
    before = {str(path): path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()}
    with pytest.raises(DatasetError, match=words):
        label(dataset.path, frame, tmp_path)
    assert {str(path): path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()} == before
    assert not (dataset.path / ".work").exists()


def test_strangers_are_left_out_up_to_half_of_the_rows(dataset: Dataset, tmp_path: Path) -> None:
    """One stranger costs nobody the others; a table that is mostly of other places is refused, and nothing changes."""
    frame = trees(dataset)
    frame.loc[76:, "place_id"] = [f"x{row}" for row in range(76, 150)]
    out = shutil.copytree(dataset.path, tmp_path / "copy")
    labeled = label(out, frame, tmp_path)
    report = labeled.manifest["report"]
    assert report["left_out"] == {"that match no place of the dataset": 74}
    assert int(labeled.labels().known.sum()) == 76
    lost = len(dataset) - 76
    assert report["notes"] == [
        "trees.csv: 74 of 150 rows match no place (first: row 77, place_id 'x76'); "
        f"{lost} of {len(dataset)} places match no row"
    ]
    frame.loc[74:75, "place_id"] = ["x74", "x75"]
    with pytest.raises(
        DatasetError, match=r"76 of 150 rows of trees\.csv have an ID that matches no place, such as row 75"
    ):
        label(dataset.path, frame, tmp_path)
    assert Dataset.open(dataset.path).hash == dataset.hash


def test_rows_that_lie_elsewhere_than_the_place_of_their_id(dataset: Dataset, tmp_path: Path) -> None:
    """Fewer than a tenth are left out and told; a tenth means that rows are numbered alike by accident."""
    frame = trees(dataset)
    frame.loc[:13, "lat"] += 0.5
    out = shutil.copytree(dataset.path, tmp_path / "copy")
    report = label(out, frame, tmp_path).manifest["report"]
    assert report["left_out"] == {"that are not where the place with their ID is": 14}
    assert any("14 of 150 rows of trees.csv lie more than 100 m" in note for note in report["notes"])
    frame.loc[14, "lat"] += 0.5
    with pytest.raises(DatasetError, match=r"15 of 150 rows of trees\.csv are more than 100 m"):
        label(dataset.path, frame, tmp_path)


@pytest.mark.parametrize("kept", [["place_id"], ["lon", "lat"]])
def test_two_labels_of_one_place_contradict(dataset: Dataset, tmp_path: Path, kept: list[str]) -> None:
    frame = trees(dataset)
    twice = pd.concat([frame, frame[:1].assign(species="yew")], ignore_index=True)
    with pytest.raises(SourceError, match=r"row 1 and row 151 have the same .* but differ: keep one row"):
        label(dataset.path, twice[[*kept, "species"]], tmp_path)
    same = pd.concat([frame, frame[:5]], ignore_index=True)
    labeled = label(dataset.path, same[[*kept, "species"]], tmp_path)
    assert labeled.manifest["report"]["left_out"] == {"duplicates of an earlier row": 5}


def test_several_places_at_one_point_need_ids(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"place_id": list("abcd"), "lon": [1, 1, 2, 3], "lat": [5, 5, 6, 7], "kind": list("xyxy")}
    )
    frame.drop(columns="kind").to_csv(tmp_path / "p.csv", index=False)
    dataset = api.prepare("sphere2vec", points=tmp_path / "p.csv", out=tmp_path / "ds")
    with pytest.raises(
        DatasetError, match=r"2 of 4 rows of trees\.csv match several places, such as row 1, lon=1,"
    ):
        label(dataset.path, frame.drop(columns="place_id"), tmp_path, "kind")
    labeled = label(dataset.path, frame, tmp_path, "kind")
    assert labeled.labels().values.tolist() == [0, 1, 0, 1]


def test_labels_join_the_places_of_the_same_table(tmp_path: Path) -> None:
    """First without a label, then with one; and nothing to add where no label is named."""
    frame = pd.DataFrame({"lon": range(30), "lat": 1.0, "kind": list("xyz") * 10})
    frame.to_csv(tmp_path / "trees.csv", index=False)
    bare = api.prepare("sphere2vec", points=tmp_path / "trees.csv", out=tmp_path / "ds")
    labeled = label(tmp_path / "ds", frame, tmp_path, "kind")
    assert labeled.places_hash == bare.places_hash
    assert [labeled.labels().classes[code] for code in labeled.labels().values] == frame["kind"].tolist()
    frame[:9].drop(columns="kind").to_csv(tmp_path / "few.csv", index=False)
    assert api.prepare("sphere2vec", points=tmp_path / "few.csv", out=tmp_path / "ds").hash == labeled.hash
    with pytest.raises(DatasetError, match="its places are points without a size, not 50 m"):
        api.prepare("sphere2vec", points=tmp_path / "few.csv", out=tmp_path / "ds", size_m=50.0)
    frame.assign(lat=2.0).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DatasetError, match="its places do not match: 30 of 30 rows"):
        api.prepare("sphere2vec", points=tmp_path / "other.csv", out=tmp_path / "ds")


def test_a_table_of_labels_alone_makes_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("place_id,kind\na,x\nb,y\n")
    with pytest.raises(SourceError, match="has neither a geometry nor lon and lat"):
        api.prepare("sphere2vec", points=tmp_path / "l.csv", label="kind", out=tmp_path / "ds")


def test_what_it_says(dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the command line: what was added; exit code 1 and one line where the places are others."""
    from placevec.cli import main

    frame = trees(dataset)
    frame.to_csv(tmp_path / "p.csv", index=False)
    command = [
        "prepare",
        "sphere2vec",
        str(tmp_path / "p.csv"),
        "--label",
        "species",
        "--out",
        str(dataset.path),
    ]
    assert main(command) == 0
    told = capsys.readouterr()
    assert f"Added labels (species, 3 classes) of 150 of {len(dataset)} places to {dataset.path}" in told.err
    assert main(command) == 0
    assert "Reusing" in capsys.readouterr().err
    frame.assign(lon=frame["lon"] + 1).to_csv(tmp_path / "p.csv", index=False)
    assert main([*command[:-1], str(dataset.path), "-q"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "made from other inputs: the content of 'points' differs" in line


# --- images and features ----------------------------------------------------------------------------------------------


def test_features_join_a_dataset_by_place_id(dataset: Dataset, tmp_path: Path) -> None:
    """No table of points is asked for: the places are there."""
    ids = dataset.places["place_id"].to_numpy(object)[::-2]
    numbers = np.random.default_rng(0).normal(size=(len(ids), 4)).astype(np.float32)
    pq.write_table(pa.table({"place_id": ids, "v": numbers.tolist()}), tmp_path / "f.parquet")
    options: dict[str, Any] = {"image_features": tmp_path / "f.parquet", "out": dataset.path}
    new = api.prepare("sphere2vec", **options)
    assert new.view_names == ("map", "image_features")
    view: Any = new.view("image_features")
    rows = np.array([new.places["place_id"].tolist().index(one) for one in ids])
    np.testing.assert_array_equal(view.read(Look(torch.from_numpy(rows))).numpy(), numbers)
    assert int(view.known.sum()) == len(ids)
    assert new.manifest["sources"][-1]["attribution"].startswith("unknown")
    assert api.prepare("sphere2vec", **options).hash == new.hash
    pq.write_table(pa.table({"place_id": ["q"], "v": [[1.0]]}), tmp_path / "f.parquet")
    with pytest.raises(PlacevecError, match="matches none of the places"):
        api.prepare(
            "sphere2vec", **{**options, "out": tmp_path / "copy"} if False else {**options, "points": None}
        )


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_images_join_the_places_that_they_are_called_as(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    folder = tmp_path / "chips"
    for number in range(8):
        where = from_origin(400_000 + 5000 * number, 6_700_000, 10, 10)
        write_image(
            folder / ("wet" if number % 2 else "dry") / f"p{number}.tif",
            number,
            crs="EPSG:32635",
            transform=where,
        )
    from pyproj import Transformer

    there = Transformer.from_crs("EPSG:32635", "EPSG:4326", always_xy=True)
    lon, lat = there.transform(400_030 + 5000 * np.arange(10), np.full(10, 6_699_970))
    frame = pd.DataFrame({"place_id": [f"p{row}" for row in range(10)], "lon": lon, "lat": lat})
    frame.to_csv(tmp_path / "p.csv", index=False)
    out = tmp_path / "ds"
    before = api.prepare("sphere2vec", points=tmp_path / "p.csv", out=out)
    new = api.prepare("sphere2vec", images=folder, label="folder", out=out)
    assert new.places_hash == before.places_hash
    assert new.view_names == ("coordinates", "chips", "image_features")
    chips: Any = new.view("chips")
    assert chips.counts.tolist() == [1] * 8 + [0] * 2
    labels = new.labels()
    assert [labels.classes[code] if code >= 0 else None for code in labels.values] == ["dry", "wet"] * 4 + [
        None
    ] * 2
    assert [one["added"] for one in new.manifest["additions"]] == [["labels"], ["chips"], ["image_features"]]
    assert api.prepare("sphere2vec", images=folder, label="folder", out=out).hash == new.hash
    other = api.prepare("sphere2vec", points=tmp_path / "p.csv", out=tmp_path / "other")
    (tmp_path / "strange").mkdir()
    (folder / "dry" / "p0.tif").rename(tmp_path / "strange" / "q.tif")
    with pytest.raises(DatasetError, match="none of 1 images in strange has the ID of a place"):
        api.prepare("sphere2vec", images=tmp_path / "strange", out=other.path)
    (tmp_path / "strange" / "q.tif").rename(tmp_path / "strange" / "p5.tif")
    with pytest.raises(
        DatasetError, match=r"1 images in strange are not at the location of the place .*'p5', 2[45],"
    ):
        api.prepare("sphere2vec", images=tmp_path / "strange", out=other.path)
    assert other.view_names == Dataset.open(other.path).view_names
