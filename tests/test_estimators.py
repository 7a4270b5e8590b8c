"""The scikit-learn transformer: scikit-learn's own checks, pipelines, pickles, and vectors that are the table's."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import placevec as pv
from placevec.datasets.dataset import Dataset
from placevec.embeddings import Embeddings
from placevec.errors import EmbeddingsError, InputError
from placevec.estimators import PlaceFeatures
from tests.embeddings.test_matching import points, tiles
from tests.embeddings.test_table import table


class OnEarth(PlaceFeatures):
    """Takes scikit-learn's random numbers, of any width, for points of Helsinki."""

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        numbers = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        turned = 0.5 + 0.5 * np.tanh(numbers / 100.0)
        return pd.DataFrame({"lon": 24.9 + 0.1 * turned[:, 0], "lat": 60.1 + 0.1 * turned[:, -1]})


def test_the_checks_of_scikit_learn() -> None:
    """All of `check_estimator`, on numbers that are turned into points: its own are not coordinates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            OnEarth(table(50, 6), max_distance_m=1e6), on_skip=None, on_fail=None
        )  # fmt: skip
    failed = {
        str(result["check_name"]): str(result["exception"])
        for result in results
        if result["status"] == "failed"
    }
    assert not failed
    assert sum(result["status"] == "passed" for result in results) > 30


def test_looked_up_in_a_table(tmp_path: Path) -> None:
    """The same vectors as `Embeddings.join`, from a frame, a series of geometries, columns and an array."""
    emb = tiles()
    emb.save(tmp_path / "e.parquet")
    frame = points(emb.lonlat[[4, 0, 9]], rent=[1.0, 2.0, 3.0])
    wanted = emb.vectors[[4, 0, 9]]
    features = PlaceFeatures(tmp_path / "e.parquet")
    assert np.array_equal(features.fit_transform(frame), wanted)
    assert np.array_equal(features.fit_transform(frame.geometry.to_crs(3857)), wanted)
    assert np.array_equal(features.fit_transform(emb.lonlat[[4, 0, 9]]), wanted)
    plain = pd.DataFrame(emb.lonlat[[4, 0, 9]], columns=["lon", "lat"])
    assert np.array_equal(features.fit_transform(plain.assign(rent=1.0)), wanted)
    assert np.array_equal(features.transform(plain), wanted)
    assert np.array_equal(features.fit_transform(pd.DataFrame({"place_id": ["p4", "p0", "p9"]})), wanted)
    assert list(features.get_feature_names_out()) == ["v000", "v001", "v002"]
    as_frame = features.set_output(transform="pandas").fit_transform(frame.set_index("rent"))
    assert list(as_frame.columns) == ["v000", "v001", "v002"]
    assert list(as_frame.index) == [1.0, 2.0, 3.0]


def test_computed_by_a_model(helsinki_dataset: Dataset, helsinki_run: Path) -> None:
    """Points that are no places: the vectors that the model gives for them, NaN outside of the dataset."""
    model = pv.load_model(helsinki_run)
    asked = np.array([[24.9414, 60.1719], [24.95, 60.17], [10.0, 50.0], [np.nan, 60.17]])
    features = PlaceFeatures(model=helsinki_run, dataset=helsinki_dataset.path)
    with pytest.warns(UserWarning, match="2 of 4 rows lie outside the dataset: their vectors are NaN"):
        found = features.fit_transform(asked)
    np.testing.assert_allclose(found[:2], model.vectors(helsinki_dataset, lonlat=asked[:2]), atol=1e-6)
    assert np.isnan(found[2:]).all()
    assert features.model_hash_ == model.hash
    with pytest.raises(InputError, match="2 of 4 rows"):
        clone(features).set_params(unmatched="error").fit_transform(asked)
    assert len(pickle.dumps(features)) < 2_000
    again = pickle.loads(pickle.dumps(features))  # noqa: S301
    np.testing.assert_array_equal(again.transform(asked[:2]), found[:2])


def test_in_pipelines_and_beside_other_columns(tmp_path: Path) -> None:
    """Ridge on the vectors foretells what is linear in them; columns of the table stay beside them."""
    emb = table(60, 5)
    emb.save(tmp_path / "e.parquet")
    frame = points(emb.lonlat, rooms=np.arange(60) % 4)
    rent = emb.vectors @ np.arange(5.0) + frame["rooms"]
    columns = ColumnTransformer(
        [("place", PlaceFeatures(tmp_path / "e.parquet"), ["geometry"]), ("own", "passthrough", ["rooms"])]
    )
    pipeline = make_pipeline(columns, SimpleImputer(), Ridge(alpha=1e-3))
    assert cross_val_score(pipeline, frame, rent, cv=4).min() > 0.99
    fitted = pipeline.fit(frame, rent)
    assert list(fitted[0].get_feature_names_out())[-2:] == ["place__v004", "own__rooms"]
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    np.testing.assert_allclose(again.predict(frame), fitted.predict(frame))


def test_clones_share_the_table_and_know_nothing_of_the_fit() -> None:
    emb = tiles()
    features = PlaceFeatures(emb, prefix="p").fit(points(emb.lonlat))
    copy = clone(features)
    assert copy.get_params()["embeddings"] is emb
    assert not hasattr(copy, "dim_")
    assert features.set_params(max_distance_m=3.0).max_distance_m == 3.0
    assert "PlaceFeatures" in repr(features)


def test_another_table_at_the_same_path_is_rejected(tmp_path: Path) -> None:
    """A pickled pipeline must not be fed vectors of another model."""
    emb, path = tiles(), tmp_path / "e.parquet"
    emb.save(path)
    kept = pickle.dumps(PlaceFeatures(path).fit(points(emb.lonlat)))
    provenance = pv.load_embeddings(path).provenance
    other = Embeddings(
        emb.place_id, emb.vectors[:, ::-1], emb.lonlat, emb.geometry, emb.names, "map",
        type(provenance)("c" * 64, provenance.dataset_hash),
    )  # fmt: skip
    other.save(path)
    with pytest.raises(EmbeddingsError, match="has changed since fit"):
        pickle.loads(kept).transform(points(emb.lonlat))  # noqa: S301


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({}, np.zeros((2, 2)), "give either embeddings=, or both model= and dataset="),
        ({"model": "base"}, np.zeros((2, 2)), "model= and dataset="),
        ({"embeddings": "e.parquet", "model": "base", "dataset": "d"}, np.zeros((2, 2)), "give either"),
        ({"embeddings": "missing.parquet"}, np.zeros((2, 2)), "missing.parquet"),
        ({"embeddings": tiles(), "unmatched": "drop"}, np.zeros((2, 2)), "'nan' or 'error'"),
        ({"embeddings": tiles()}, np.zeros((2, 3)), "two columns, lon and lat"),
        ({"embeddings": tiles()}, pd.DataFrame({"a": [1]}), "columns named lon and lat"),
        ({"embeddings": tiles()}, np.zeros((2, 2)), "2 of 2 rows have no matching place"),
    ],
)
def test_what_cannot_be_used(options: dict[str, Any], asked: Any, message: str) -> None:
    with pytest.raises(pv.PlacevecError, match=message):
        PlaceFeatures(**options).fit_transform(asked)
