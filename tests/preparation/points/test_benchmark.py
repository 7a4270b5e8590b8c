"""Geo-prior layouts become datasets. Oracle: what the tests wrote, in the layouts' own form."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import placevec as pv
from placevec.datasets.dataset import Dataset
from placevec.errors import PlacevecError, SourceError, UsageError
from placevec.evaluation.predictions.ranking import TrueRanks, seen_by_image
from placevec.options import options_of
from placevec.preparation.points.options import PointOptions
from tests.sources.benchmarks import layout_files as files


def prepared(tmp_path: Path, layout: str, **options: Any) -> Dataset:
    return pv.prepare("sphere2vec", layout=layout, folder=tmp_path / layout, out=tmp_path / "ds", **options)


def dense(predictions: Any) -> np.ndarray:
    return predictions.toarray() if sparse.issparse(predictions) else np.asarray(predictions)


@pytest.mark.parametrize("year", [2017, 2018])
def test_inat(tmp_path: Path, year: int) -> None:
    """Photos without a place are left out of training and stay in validation; classes of one name stay apart."""
    written = files.inat(tmp_path / f"inat{year}", year)
    ds = prepared(tmp_path, f"inat{year}")
    labels = ds.labels()
    assert labels.classes == ("owl", "jay (1)", "jay (2)", "kea")
    assert list(ds.places.place_id) == [
        "train-100", "train-101", "train-103", "validation-500", "validation-501", "validation-502",
    ]  # fmt: skip
    assert labels.values.tolist() == [0, 1, 2, 2, 1, 3]
    nowhere = [np.nan, np.nan]
    expected = [[24.9, 60.2], [-179.5, -16.5], [14.5, 35.9], [25.0, 61.0], nowhere, [15.0, 36.0]]
    assert np.array_equal(ds.lonlat, expected, equal_nan=True)
    assert labels.users is not None
    assert labels.users.tolist() == [0, 1, 0, 2, -1, -1]
    assert labels.dates is not None
    assert labels.dates.tolist() == [0.5, 0.1, 1.0, 0.0, 0.9, 0.3]
    assert labels.split is not None
    assert labels.split.tolist() == [0, 0, 0, 1, 1, 1]
    assert labels.image_rows is not None
    assert labels.image_rows.tolist() == [0, 1, 3, 0, 1, 2]
    assert ds.manifest["report"]["left_out"] == {"no coordinates": 1}
    assert ds.manifest["report"]["without_coordinates"] == 1
    found = ds.image_predictions("validation")
    assert sparse.issparse(found)
    assert np.array_equal(dense(found), written)
    assert ds.image_predictions("train") is None


def test_birdsnap_has_two_kinds_of_places(tmp_path: Path) -> None:
    written = files.birds(tmp_path / "birdsnap", "birdsnap")
    ds = prepared(tmp_path, "birdsnap")
    labels = ds.labels()
    assert labels.values.tolist() == [0, 1, 0, 0, 1]
    assert np.array_equal(ds.lonlat[:2], [[-80.0, 40.0], [-120.0, 37.0]])
    assert np.isnan(ds.lonlat[2:4]).all()  # of validation and test: kept
    assert labels.split is not None
    assert labels.split.tolist() == [0, 0, 1, 2, 2]
    assert labels.image_rows is not None
    assert labels.image_rows[-2:].tolist() == [0, 1]  # images that are not valid have no row
    assert np.array_equal(dense(ds.image_predictions("test")), written)
    notes = ds.manifest["report"]["notes"]
    assert any("orig_meta" in note for note in notes)
    assert "2 of 8 images are marked as invalid and left out" in notes
    simulated = pv.prepare(
        "sphere2vec", layout="birdsnap", folder=tmp_path / "birdsnap", meta="ebird", out=tmp_path / "b"
    )
    assert np.array_equal(simulated.lonlat[:, 0], [1.0, 2.0, 2.0, 1.0, 1.0, 2.0])
    assert simulated.hash != ds.hash


def test_nabirds_yfcc_and_fmow(tmp_path: Path) -> None:
    files.birds(tmp_path / "nabirds", "nabirds")
    birds = prepared(tmp_path, "nabirds")
    assert birds.labels().users is not None
    assert len(birds) == 6
    written = files.yfcc(tmp_path / "yfcc")
    photos = pv.prepare("sphere2vec", layout="yfcc", folder=tmp_path / "yfcc", out=tmp_path / "y")
    labels = photos.labels()
    assert labels.classes == ("alley", "beach")
    assert (labels.users, labels.dates) == (None, None)
    assert labels.values.tolist() == [0, 1, 1, 0, 1]
    assert photos.lonlat[:, 0].tolist() == [1.0, 5.0, 3.0, 7.0, 9.0]
    assert np.array_equal(dense(photos.image_predictions("test")), written)
    written = files.fmow(tmp_path / "fmow")
    scenes = pv.prepare("sphere2vec", layout="fmow", folder=tmp_path / "fmow", out=tmp_path / "f")
    assert scenes.labels().classes == ("airport", "stadium")
    assert scenes.labels().values.tolist() == [0, 1, 1]
    assert np.array_equal(dense(scenes.image_predictions("validation")), written)


def test_the_class_that_is_alone_is_named_rightly(tmp_path: Path) -> None:
    """The source lists alley, then beach; all photos are of the second."""
    files.yfcc(tmp_path / "yfcc")
    table = tmp_path / "yfcc" / "train_test_split.csv"
    pd.read_csv(table).assign(**{"class": 1}).to_csv(table, index=False)
    with pytest.raises(SourceError, match=r"all rows have the same class in 'class', 'beach'"):
        prepared(tmp_path, "yfcc")


def test_place_and_image_are_ranked_together(tmp_path: Path) -> None:
    """From the files to the figures: a place that knows the class turns round what images say."""
    files.inat(tmp_path / "inat2018", 2018)
    ds = prepared(tmp_path, "inat2018")
    labels = ds.labels()
    rows = labels.rows("validation")
    assert labels.image_rows is not None

    truth = labels.values[rows].astype(np.int64)
    image, seen = seen_by_image(
        dense(ds.image_predictions("validation")) + 1e-6, labels.image_rows[rows].astype(np.int64), 4
    )
    placed = np.isfinite(ds.lonlat[rows]).all(axis=1)
    assert (int(placed.sum()), int(seen.sum())) == (2, 3)
    place = np.where(placed[:, None], np.eye(4)[truth] + 1e-3, 1.0)
    alone, both = (TrueRanks.of(scores, truth).reciprocal().mean() for scores in (image, image * place))
    assert both > alone


def test_a_large_file_of_locations_holds_the_classes(tmp_path: Path) -> None:
    folder = tmp_path / "inat2018"
    files.inat(folder, 2018)
    (folder / "train2018_locations.json").unlink()
    rows = [
        {"lon": 1.0, "lat": 2.0, "class": 3, "user_id": 1, "date_c": 0.5},
        {"lon": 2.0, "lat": 2.0, "class": 0, "user_id": 1, "date_c": 0.5},
    ]
    (folder / "train2018_locations_large.json").write_text(json.dumps(rows))
    ds = prepared(tmp_path, "inat2018")
    assert ds.labels().values[ds.labels().rows("train")].tolist() == [3, 0]


def test_another_folder_of_predictions(tmp_path: Path) -> None:
    folder = tmp_path / "inat2018"
    files.inat(folder, 2018)
    high = files.predictions(folder / "features_inception_hr" / "inat2018_val_preds_sparse.npz", 3, 4) * 0 + 1
    np.savez(folder / "other.npz", high)
    sparse.save_npz(
        folder / "features_inception_hr" / "inat2018_val_preds_sparse.npz", sparse.csr_matrix(high)
    )
    ds = prepared(tmp_path, "inat2018", features="features_inception_hr")
    assert np.array_equal(dense(ds.image_predictions("validation")), high)


# --- bad input ---------------------------------------------------------------------------------------------


def _edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _drop(folder: Path) -> None:
    (folder / "categories2018.json").unlink()


def _no_location(folder: Path) -> None:
    _edit(folder / "train2018_locations.json", lambda rows: rows[:-1])


def _no_class(folder: Path) -> None:
    _edit(folder / "train2018.json", lambda content: {**content, "annotations": content["annotations"][1:]})


def _unknown_class(folder: Path) -> None:
    _edit(folder / "categories2018.json", lambda rows: rows[:2])


def _gap(folder: Path) -> None:
    _edit(folder / "categories2018.json", lambda rows: rows[1:])


def _no_json(folder: Path) -> None:
    (folder / "train2018.json").write_text("{")


def _other_json(folder: Path) -> None:
    (folder / "train2018.json").write_text("[]")


def _text(folder: Path) -> None:
    _edit(folder / "val2018_locations.json", lambda rows: [{**row, "lon": "east"} for row in rows])


def _swapped(folder: Path) -> None:
    _edit(
        folder / "val2018_locations.json",
        lambda rows: [{**row, "lon": row["lat"], "lat": 3 * (row["lon"] or 0) + 100} for row in rows],
    )


def _pickled(folder: Path) -> None:
    np.save(
        folder / "features_inception" / "inat2018_val_preds.npy",
        np.array([{"a": 1}], object),
        allow_pickle=True,
    )
    (folder / "features_inception" / "inat2018_val_preds_sparse.npz").unlink()


def _plain_pickle(folder: Path) -> None:
    (folder / "features_inception" / "inat2018_val_preds_sparse.npz").write_bytes(pickle.dumps([1]))


def _other_npz(folder: Path) -> None:
    np.savez(folder / "features_inception" / "inat2018_val_preds_sparse.npz", a=np.ones(3))


def _fewer(folder: Path) -> None:
    files.predictions(folder / "features_inception" / "inat2018_val_preds_sparse.npz", 2, 4)


def _out_of_bounds(folder: Path) -> None:
    matrix = sparse.csr_matrix(np.eye(3, 4))
    np.savez(
        folder / "features_inception" / "inat2018_val_preds_sparse.npz",
        indices=matrix.indices + 100, indptr=matrix.indptr, data=matrix.data, shape=[3, 4], format=b"csr",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop, "does not exist"),
        (_no_location, "has no location"),
        (_no_class, "has no class"),
        (_unknown_class, "there is a class"),
        (_gap, "must be numbered 0 to 2"),
        (_no_json, "cannot read"),
        (_other_json, "not a document"),
        (_text, "lon is 'east'"),
        (_swapped, "not on Earth"),
        (_pickled, "without unpickling"),
        (_plain_pickle, "without unpickling"),
        (_other_npz, "not a sparse matrix"),
        (_fewer, "predictions for 2 photos and 4 classes, but there are 3 photos"),
        (_out_of_bounds, "without unpickling"),
    ],
)
def test_damaged(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    files.inat(tmp_path / "inat2018", 2018)
    damage(tmp_path / "inat2018")
    with pytest.raises(SourceError, match=message) as caught:
        prepared(tmp_path, "inat2018")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "inat2019"}, "--layout 'inat2019' is unknown: did you mean"),
        (
            {"layout": "inat2018", "meta": "orig"},
            "--meta applies only to birdsnap and nabirds, not to inat2018",
        ),
        ({"layout": "inat2018", "features": "../x"}, "must be a subfolder"),
        ({"layout": "inat2018", "label": "class"}, "--label cannot be combined with --layout"),
        ({"layout": "birdsnap", "meta": "mine"}, "--meta 'mine' is unknown: choose from orig, ebird"),
        ({"layout": "inat2018", "folder": None}, "give both a benchmark and its folder"),
        ({"layout": None, "folder": None, "points": "x.csv", "meta": "orig"}, "need --layout"),
        ({"layout": "fmow", "folder": "nowhere"}, "does not exist"),
    ],
)
def test_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    files.inat(tmp_path / "inat2018", 2018)
    files.birds(tmp_path / "birdsnap", "birdsnap")
    given = {"folder": tmp_path / str(options["layout"]), **options}
    with pytest.raises((UsageError, SourceError), match=message):
        pv.prepare("sphere2vec", out=tmp_path / "ds", **given)


OF_TABLES: dict[str, Any] = {
    "points": "x.csv", "label": "x", "lon": "x", "lat": "x", "id": "x", "user": "x", "date": "x", "split": "x",
    "crs": "EPSG:3067", "kind": "number", "validation_share": 0.2, "test_share": 0.0, "block_m": 10_000.0, "seed": 3,
    "min_per_class": 5, "one_class": True, "leave_out_unseen": True, "keep_duplicates": True,
}  # fmt: skip


@pytest.mark.parametrize(("option", "value"), OF_TABLES.items())
def test_options_of_tables_do_not_go_with_a_layout(tmp_path: Path, option: str, value: Any) -> None:
    """A layout brings its own classes, sides and rows."""
    files.inat(tmp_path / "inat2018", 2018)
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} cannot be combined with --layout"):
        prepared(tmp_path, "inat2018", **{option: value})
    assert not (tmp_path / "ds").exists()


def test_each_option_belongs_to_layouts_or_is_rejected() -> None:
    """Oracle: the fields."""
    of_layouts = {"layout", "folder", "meta", "features", "size_m", "attribution"}
    assert {one.name for one in options_of(PointOptions)} == of_layouts | set(OF_TABLES)


def test_predictions_that_were_damaged_later(tmp_path: Path) -> None:
    files.yfcc(tmp_path / "yfcc")
    ds = prepared(tmp_path, "yfcc")
    np.save(ds.path / "image_predictions" / "test.npy", np.ones((2, 5), np.float32))
    with pytest.raises(PlacevecError, match="has 5 classes, but the dataset has 2"):
        ds.image_predictions("test")
    (ds.path / "image_predictions" / "test.npy").unlink()
    with pytest.raises(PlacevecError, match="is missing image_predictions"):
        Dataset.open(ds.path)
