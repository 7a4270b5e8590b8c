"""The scikit-learn transformer of coordinates: scikit-learn's own checks, and features that are the encoder's."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import placevec as pv
from placevec.errors import InputError
from placevec.estimators import LocationFeatures

LONLAT = np.array([[24.94, 60.17], [-170.7, -14.3], [179.9, 66.0]])


class OnEarth(LocationFeatures):
    """Takes scikit-learn's random numbers, of any width, for points."""

    def _lonlat(self, X: Any, *, reset: bool) -> Any:
        numbers = validate_data(self, X, reset=reset, dtype=np.float64)
        return np.stack([170 * np.tanh(numbers[:, 0] / 10), 80 * np.tanh(numbers[:, -1] / 10)], axis=-1)


def test_the_checks_of_scikit_learn() -> None:
    """All of `check_estimator`, on numbers that are turned into points: its own are not coordinates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(OnEarth("sphereC", options={"scales": 4}), on_skip=None, on_fail=None)
    failed = {str(one["check_name"]): str(one["exception"]) for one in results if one["status"] == "failed"}
    assert not failed
    assert sum(one["status"] == "passed" for one in results) > 30


def test_features_are_those_of_the_encoder() -> None:
    """From an array, columns, and geometry in another CRS; names, pickles and clones as scikit-learn has them."""
    wanted = pv.encoders.location("sphereM+", network="none", scales=8).features(LONLAT).numpy()
    features = LocationFeatures("spheregridmixscale", options={"scales": 8})
    np.testing.assert_allclose(features.fit_transform(LONLAT), wanted, atol=1e-12)
    columns = pd.DataFrame(LONLAT, columns=["Longitude", "Latitude"])
    np.testing.assert_allclose(features.fit_transform(columns), wanted, atol=1e-12)
    points = gpd.GeoSeries(gpd.points_from_xy(*LONLAT.T), crs=4326).to_crs(3857)
    np.testing.assert_allclose(features.fit_transform(points), wanted, atol=1e-7)
    again = pickle.loads(pickle.dumps(features))  # noqa: S301
    np.testing.assert_array_equal(again.transform(points), features.transform(points))
    assert not hasattr(clone(features), "dim_")
    assert list(features.get_feature_names_out()[:2]) == ["f000", "f001"]
    assert len(features.get_feature_names_out()) == features.dim_ == 64


def test_anchors_of_the_rows() -> None:
    """Each anchor is a row, where its feature is 1; at most 200, the same for the same seed."""
    features = LocationFeatures("rbf", anchors="rows", options={"sigma": 1.0}).fit(LONLAT)
    np.testing.assert_allclose(np.sort(features.transform(LONLAT).max(axis=0)), 1.0)
    assert features.dim_ == 3
    many = np.random.default_rng(0).uniform(-80, 80, (500, 2))
    assert LocationFeatures("rbf", anchors="rows").fit(many).dim_ == 200


def test_a_ridge_over_it_learns_a_field_of_the_sphere() -> None:
    """A field of low degree, sampled over the sphere: nearly all of its variance, across the antimeridian too."""
    random = np.random.default_rng(1)
    lonlat = np.c_[random.uniform(-180, 180, 800), np.degrees(np.arcsin(random.uniform(-1, 1, 800)))]
    lam, phi = np.radians(lonlat).T
    field = np.sin(phi) ** 2 * 2 + np.cos(phi) ** 2 * np.cos(2 * lam)
    model = make_pipeline(LocationFeatures("harmonics", options={"degrees": 6}), Ridge(1e-6))
    assert model.fit(lonlat[:400], field[:400]).score(lonlat[400:], field[400:]) > 0.999


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (LONLAT[:, ::-1], {}, "swapped"),
        (np.array([[np.nan, 0.0]]), {}, "without coordinates"),
        (np.zeros((2, 3)), {}, "two columns"),
        (pd.DataFrame({"x1": [1.0]}), {}, "columns named lon and lat"),
        (LONLAT, {"encoder": "cells"}, "before training"),
        (LONLAT, {"anchors": "rows"}, "with rbf"),
    ],
)
def test_what_cannot_be_used_is_rejected(rows: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LocationFeatures(**options).fit(rows)


def test_a_grid_search_reaches_the_settings() -> None:
    """`locationfeatures__scales` of a pipeline is the number of scales, and a setting stands in one place."""
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(0)
    lonlat = rng.uniform([0, 50], [10, 60], (60, 2))
    pipeline = make_pipeline(LocationFeatures("sphereC", r_min=0.01), Ridge())
    search = GridSearchCV(pipeline, {"locationfeatures__scales": [2, 6]}, cv=2)
    search.fit(lonlat, np.sin(lonlat[:, 0]))
    assert search.best_estimator_[0].dim_ == 3 * search.best_params_["locationfeatures__scales"]
    with pytest.raises(InputError, match="scales is given twice"):
        LocationFeatures("sphereC", scales=4, options={"scales": 8}).fit(LONLAT)
