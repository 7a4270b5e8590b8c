"""Bare coordinates as features of other models: a scikit-learn transformer over the location encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from placevec.encoders.locations.inputs import degrees
from placevec.encoders.locations.names import Variant, known_as, positional
from placevec.encoders.locations.positional import table_of
from placevec.errors import InputError
from placevec.matching import Objects, coordinate_columns, feature_names, geometry_of_rows, points_of


class LocationFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Where rows lie, as the positional features of a location encoder, for a linear model, a forest or a network.

    Rows come as a GeoDataFrame or GeoSeries (any CRS; polygons count by a point inside them), a DataFrame with ``lon``
    and ``lat``, or an (N, 2) array of lon, lat in degrees. Nothing is learnt of the rows but the anchors of ``rbf``
    where ``anchors="rows"``, and nothing at all of targets.

    Args:
        encoder: any name of `placevec.encoders.location`; not ``cells``, which only training gives a meaning.
        variant: ``corrected`` or ``original``.
        options: of the features: scales, r_min, r_max, taper_poles, degrees, sigma, anchors, ...
        anchors: of ``rbf``: ``options``, or ``rows``: up to 200 of the rows seen by `fit`, drawn by ``random_state``.
        random_state: of that draw.
        prefix: of the columns.

    Attributes:
        dim_: numbers of a row.
        positional_: the features.
        n_features_in_: columns seen by `fit`.

    >>> LocationFeatures("sphereC", options={"scales": 8}).fit_transform(np.array([[24.94, 60.17]])).shape
    (1, 24)
    """

    def __init__(
        self,
        encoder: str = "sphereC+",
        *,
        variant: Variant = "corrected",
        options: Mapping[str, Any] | None = None,
        anchors: Literal["options", "rows"] = "options",
        random_state: int = 0,
        prefix: str = "f",
    ) -> None:
        self.encoder = encoder
        self.variant = variant
        self.options = options
        self.anchors = anchors
        self.random_state = random_state
        self.prefix = prefix

    def fit(self, X: Any, y: Any = None) -> LocationFeatures:
        """Build the encoder and check that ``X`` says where its rows lie.

        Raises:
            InputError: no coordinates, or some that are none.
            ModelError: an unknown encoder or option, or a value out of range.
        """
        title = known_as(self.encoder)
        if title == "cells":
            raise InputError("the vectors of cells mean nothing before training: choose another encoder")
        if self.anchors not in ("options", "rows") or (self.anchors == "rows" and title != "rbf"):
            raise InputError(f'anchors is "options", or with rbf "rows"; got {self.anchors!r} and {title}')
        lonlat = self._lonlat(X, reset=True)
        options = dict(self.options or {})
        if self.anchors == "rows":
            drawn = np.random.default_rng(self.random_state).permutation(len(lonlat))[:200]
            options["anchors"] = lonlat[drawn]
        self.positional_ = positional(title, self.variant, **options)
        self.dim_ = self.positional_.dim
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """(N, dim_) float64.

        Raises:
            InputError: rows without coordinates, or out of range.
        """
        check_is_fitted(self)
        lon, lat = degrees(self._lonlat(X, reset=False))
        return np.asarray(table_of(self.positional_, lon, lat).detach().numpy())

    def get_feature_names_out(self, input_features: Any = None) -> Objects:
        """(dim_,) ``f000``, ``f001``, ..."""
        check_is_fitted(self)
        return np.array(feature_names(self.dim_, self.prefix), np.object_)

    def _lonlat(self, X: Any, *, reset: bool) -> NDArray[np.float64]:
        """(N, 2) lon, lat of the rows, checked; columns remembered or compared as scikit-learn does."""
        import pandas as pd

        if hasattr(X, "to_crs") and not hasattr(X, "columns"):
            X = X.to_frame("geometry")
        if isinstance(X, pd.DataFrame):
            used = X[[X.geometry.name]] if hasattr(X, "to_crs") else X[list(coordinate_columns(X))]
            validate_data(self, used, reset=reset, skip_check_array=True)
            lonlat = points_of(geometry_of_rows(used))
        else:
            lonlat = validate_data(
                self, X, reset=reset, dtype=np.float64, ensure_all_finite=False, ensure_min_features=2
            )
            if lonlat.shape[1] != 2:
                raise InputError(
                    f"an array of points has two columns, lon and lat; this has {lonlat.shape[1]}"
                )
        degrees(lonlat)
        return np.asarray(lonlat, np.float64)
