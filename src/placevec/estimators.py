"""Vectors as features of other models: a scikit-learn transformer from where something lies to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from placevec.datasets.dataset import Dataset
from placevec.embeddings import Embeddings, EmbeddingsOfViews, load
from placevec.embeddings.matching import (
    Objects,
    On,
    coordinate_columns,
    feature_names,
    geometry_of_rows,
    match,
    points_of,
    report_unmatched,
)
from placevec.encoders.locations.inputs import degrees
from placevec.encoders.locations.names import Variant, known_as, positional
from placevec.encoders.locations.positional import table_of
from placevec.errors import EmbeddingsError, InputError, ModelError

if TYPE_CHECKING:
    import pandas as pd

    from placevec.models.model import Model

PathLike = str | Path


class PlaceFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What placevec knows of the places where rows lie, as columns for a model of your own.

    Either looked up in a table of vectors, as `Embeddings.join` does, or computed for every row by a model that reads
    a dataset's map around it::

        PlaceFeatures("city.parquet")
        PlaceFeatures(model="base", dataset="data/city")

    Rows come as a GeoDataFrame or GeoSeries (any CRS, points or polygons), a DataFrame with ``lon`` and ``lat`` (or,
    with a table of vectors, ``place_id``), or an (N, 2) array of lon, lat in degrees. Polygons become the mean of the
    places whose centers they hold (table), or a point inside them (model). Nothing is learned of the rows, so nothing
    can leak from test rows into training rows; the vectors themselves know the ground that their model was trained on.

    Args:
        embeddings: a table of vectors, or its path.
        model: instead: a model, its directory, or ``base``.
        dataset: with ``model``: the dataset whose map is read, or its directory.
        view: whose vectors, where the table or the model has several; ``fused`` by default.
        on: with a table: only ``place_id``, ``footprint`` or ``nearest``; see `Embeddings.join`.
        max_distance_m: with a table: meters to the nearest place; by default the median distance of neighbors.
        unmatched: rows without a place, or outside of the dataset's area, become NaN and a UserWarning counts them
            (``nan``), or are an InputError (``error``). Some models take NaN; before others, put a `SimpleImputer`.
        prefix: of the columns.
        batch_size: with a model: rows encoded at once.

    Attributes:
        dim_: numbers in a vector.
        model_hash_: of the model that makes or made the vectors; another table at the same path is refused later.
        n_features_in_: columns seen by `fit`.

    A fitted transformer pickles small when it was given paths, which must exist where it is used; objects that it was
    given are pickled whole. `clone` shares them.
    """

    def __init__(
        self,
        embeddings: Embeddings | EmbeddingsOfViews | PathLike | None = None,
        *,
        model: Model | PathLike | None = None,
        dataset: Dataset | PathLike | None = None,
        view: str | None = None,
        on: On | None = None,
        max_distance_m: float | None = None,
        unmatched: Literal["nan", "error"] = "nan",
        prefix: str = "v",
        batch_size: int = 64,
    ) -> None:
        self.embeddings = embeddings
        self.model = model
        self.dataset = dataset
        self.view = view
        self.on = on
        self.max_distance_m = max_distance_m
        self.unmatched = unmatched
        self.prefix = prefix
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> PlaceFeatures:
        """Open the table or model and check that ``X`` says where its rows lie; nothing is learned of them.

        Raises:
            InputError: neither or both of a table and a model with a dataset, an option that is none, no coordinates.
            EmbeddingsError, ModelError, DatasetError: what was named cannot be used.
        """
        if (self.embeddings is None) == (self.model is None) or (self.model is None) != (
            self.dataset is None
        ):
            raise InputError("give a table of vectors, or model= and dataset=")
        if self.unmatched not in ("nan", "error"):
            raise InputError(f"unmatched rows become nan or error; got {self.unmatched!r}")
        self._forget()
        self._frame(X, reset=True)
        source = self._opened()
        self.dim_ = (
            source.dim if isinstance(source, Embeddings) else source.dims[source.default_view(self.view)]
        )
        self.model_hash_ = _hash(source)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """(N, dim_) float32: the vector of each row, NaN where it has none.

        Raises:
            InputError: rows without a place where ``unmatched`` is ``error``, or no row with one.
            EmbeddingsError, ModelError: the table or model at the path is another than `fit` saw.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        source = self._opened()
        if _hash(source) != self.model_hash_:
            kind = EmbeddingsError if isinstance(source, Embeddings) else ModelError
            raise kind("vectors are now those of another model than when this was fitted: fit again")
        if not isinstance(source, Embeddings):
            return self._computed(source, frame)
        matches = match(
            frame, source.place_id, source.geometry, source.lonlat, on=self.on,
            max_distance_m=self.max_distance_m,
        )  # fmt: skip
        report_unmatched(matches.matched, self.unmatched, frame.index)
        return matches.mean(source.vectors)

    def get_feature_names_out(self, input_features: Any = None) -> Objects:
        """(dim_,) ``v000``, ``v001``, ..."""
        check_is_fitted(self)
        return np.array(feature_names(self.dim_, self.prefix), np.object_)

    def _computed(self, model: Model, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Vectors of the rows' points, read from the map around them."""
        lonlat = points_of(geometry_of_rows(frame))
        inside = np.asarray(np.isfinite(lonlat).all(axis=1))
        inside[inside] = self._ground.area.contains(lonlat[inside, 0], lonlat[inside, 1])
        report_unmatched(inside, self.unmatched, frame.index, "lie outside of the dataset")
        found = np.full((len(frame), self.dim_), np.nan, np.float32)
        found[inside] = model.vectors(
            self._ground, lonlat=lonlat[inside], view=self.view, batch_size=self.batch_size
        )
        return found

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """The columns of ``X`` that say where its rows lie, in a frame; remembered or compared as scikit-learn does."""
        import pandas as pd

        if hasattr(X, "to_crs") and not hasattr(X, "columns"):
            X = X.to_frame("geometry")
        if not isinstance(X, pd.DataFrame):
            numbers = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
            if numbers.shape[1] != 2:
                raise InputError(
                    f"an array of points has two columns, lon and lat; this has {numbers.shape[1]}"
                )
            return pd.DataFrame(numbers, columns=["lon", "lat"])
        by_id = self.embeddings is not None and self.on in (None, "place_id") and "place_id" in X.columns
        if by_id:
            used = X[["place_id"]]
        elif hasattr(X, "to_crs"):
            used = X[[X.geometry.name]]
        else:
            used = X[list(coordinate_columns(X))]
        validate_data(self, used, reset=reset, skip_check_array=True)
        return used

    def _opened(self) -> Embeddings | Model:
        """The table, or the model with its dataset beside it; opened once."""
        source: Embeddings | Model | None = self.__dict__.get("_source")
        if source is not None:
            return source
        if self.embeddings is not None:
            given = self.embeddings
            loaded = load(given) if isinstance(given, str | Path) else given
            source = loaded.of(self.view)
        else:
            from placevec.models.model import Model

            assert self.model is not None
            assert self.dataset is not None
            source = self.model if isinstance(self.model, Model) else Model.load(self.model)
            self._ground = self.dataset if isinstance(self.dataset, Dataset) else Dataset.open(self.dataset)
        self._source = source
        return source

    def _forget(self) -> None:
        for name in _OPENED:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not what was opened."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OPENED}

    def __sklearn_clone__(self) -> PlaceFeatures:
        """An unfitted copy that shares tables and models instead of copying them."""
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Any:
        """Missing coordinates are taken; numbers come out as float32 whatever came in."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


_OPENED = ("_source", "_ground")


def _hash(source: Embeddings | Model) -> str:
    return source.provenance.model_hash if isinstance(source, Embeddings) else source.hash


class LocationFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Where rows lie, as the positional features of a location encoder, for a linear model, a forest or a network.

    Rows come as a GeoDataFrame or GeoSeries (any CRS; polygons count by a point inside them), a DataFrame with ``lon``
    and ``lat``, or an (N, 2) array of lon, lat in degrees. Nothing is learned of the rows but the anchors of ``rbf``
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
