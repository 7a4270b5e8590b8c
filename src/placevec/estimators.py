"""scikit-learn transformers: from the locations of rows to features for other models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings, EmbeddingsOfViews, load
from placevec.embeddings.matching import (
    Objects,
    On,
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
from placevec.geo.coordinate_names import coordinate_columns

if TYPE_CHECKING:
    import pandas as pd

    from placevec.models.model import Model

PathLike = str | Path


class PlaceFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeddings of the places where rows lie, as feature columns for your own model.

    Vectors are either looked up in a table of embeddings, as `Embeddings.join` does, or computed for every row by a
    model that reads the dataset's map around it::

        PlaceFeatures("city.parquet")
        PlaceFeatures(model="base", dataset="data/city")

    Rows can be a GeoDataFrame or GeoSeries (any CRS, points or polygons), a DataFrame with ``lon`` and ``lat`` (or
    ``place_id``, with a table of embeddings), or an (N, 2) array of lon, lat in degrees. A polygon gets the mean of
    the places whose centers it contains (table), or the vector of a point inside it (model). `fit` learns nothing from
    the rows, so nothing leaks from test rows into training rows; the model behind the vectors may however have been
    trained in the same area.

    Args:
        embeddings: a table of embeddings, or its path.
        model: alternatively, a model, its directory, or ``base``.
        dataset: with ``model``: the dataset whose map is read, or its directory.
        view: the view whose vectors are used if there are several (default: ``fused``).
        on: with a table: how rows are matched, ``place_id``, ``footprint`` or ``nearest``; see `Embeddings.join`.
        max_distance_m: with a table: maximum distance to the nearest place in meters (default: the median distance
            between neighboring places).
        unmatched: ``nan`` fills rows without a place, or outside the dataset's area, with NaN and warns with their
            number (UserWarning); ``error`` raises InputError. For models that do not accept NaN, add a `SimpleImputer`.
        prefix: prefix of the column names.
        batch_size: with a model: rows per batch.

    Attributes:
        dim_: length of a vector.
        model_hash_: hash of the model behind the vectors; `transform` raises if it has changed.
        n_features_in_: number of columns seen by `fit`.

    A fitted transformer that was given paths pickles small; the paths must exist where it is loaded. Objects are
    pickled in full. `clone` shares them.

    >>> PlaceFeatures("city.parquet", on="nearest", max_distance_m=500).get_params()["on"]
    'nearest'
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
        """Open the table or model and check that ``X`` has locations; nothing is learned from the rows.

        Raises:
            InputError: neither or both of a table and a model with a dataset, an invalid option, or no coordinates.
            EmbeddingsError, ModelError, DatasetError: the table, model or dataset cannot be read.
        """
        if (self.embeddings is None) == (self.model is None) or (self.model is None) != (
            self.dataset is None
        ):
            raise InputError("give either embeddings=, or both model= and dataset=")
        if self.unmatched not in ("nan", "error"):
            raise InputError(f"unmatched must be 'nan' or 'error'; got {self.unmatched!r}")
        self._forget()
        self._frame(X, reset=True)
        source = self._opened()
        self.dim_ = (
            source.dim if isinstance(source, Embeddings) else source.dims[source.default_view(self.view)]
        )
        self.model_hash_ = _hash(source)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """(N, dim_) float32: the vector of each row, NaN if it has none.

        Raises:
            InputError: rows without a place and ``unmatched="error"``, or no row with a place.
            EmbeddingsError, ModelError: the table or model at the path has changed since `fit`.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        source = self._opened()
        if _hash(source) != self.model_hash_:
            kind = EmbeddingsError if isinstance(source, Embeddings) else ModelError
            raise kind("the model behind the vectors has changed since fit: call fit again")
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
        """Vectors of the rows' points, computed from what the views show around them."""
        views = (
            model.fuse.views
            if model.fuse is not None and self.view in (None, FUSED)
            else (model.default_view(self.view),)
        )
        if not any(reader_of(model.specs[view]).by_coordinates for view in views):
            raise InputError(
                f"the view {views[0]!r} is known only for the places of the dataset, not at arbitrary coordinates: "
                f"write its "
                "vectors with placevec embed and give them as embeddings="
            )
        lonlat = points_of(geometry_of_rows(frame))
        inside = np.asarray(np.isfinite(lonlat).all(axis=1))
        inside[inside] = self._dataset.area.contains(lonlat[inside, 0], lonlat[inside, 1])
        report_unmatched(inside, self.unmatched, frame.index, "lie outside the dataset")
        found = np.full((len(frame), self.dim_), np.nan, np.float32)
        found[inside] = model.vectors(
            self._dataset, lonlat=lonlat[inside], view=self.view, batch_size=self.batch_size
        )
        return found

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """The location columns of ``X`` as a DataFrame; column names are checked as scikit-learn does."""
        import pandas as pd

        if hasattr(X, "to_crs") and not hasattr(X, "columns"):
            X = X.to_frame("geometry")
        if not isinstance(X, pd.DataFrame):
            numbers = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
            if numbers.shape[1] != 2:
                raise InputError(
                    f"an array of points must have two columns, lon and lat; got {numbers.shape[1]}"
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
        """The table, or the model (with its dataset in ``_dataset``); opened once."""
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
            self._dataset = self.dataset if isinstance(self.dataset, Dataset) else Dataset.open(self.dataset)
        self._source = source
        return source

    def _forget(self) -> None:
        for name in _OPENED:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        """State to pickle: without tables and models that were opened from paths."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OPENED}

    def __sklearn_clone__(self) -> PlaceFeatures:
        """An unfitted clone that shares tables and models instead of copying them."""
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Any:
        """NaN coordinates are accepted; the output is float32 for any input type."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


_OPENED = ("_source", "_dataset")


def _hash(source: Embeddings | Model) -> str:
    return source.provenance.model_hash if isinstance(source, Embeddings) else source.hash


_SETTINGS = ("scales", "r_min", "r_max", "degrees", "sigma")


class LocationFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Positional features of a location encoder, for a linear model, a random forest or a network.

    Rows can be a GeoDataFrame or GeoSeries (any CRS; a polygon is represented by a point inside it), a DataFrame with
    ``lon`` and ``lat``, or an (N, 2) array of lon, lat in degrees. `fit` ignores targets, and learns nothing from the
    rows except the anchors of ``rbf`` if ``anchors="rows"``. In a pipeline, `GridSearchCV` reaches each setting by its
    name, such as ``locationfeatures__scales``.

    Args:
        encoder: any name accepted by `placevec.encoders.location`, except ``cells``, whose features must be trained.
        variant: ``corrected`` or ``original``.
        scales: number of scales of a multi-scale encoder.
        r_min: finest scale, as `placevec.encoders.location` takes it.
        r_max: coarsest scale.
        degrees: with ``harmonics``: number of degrees.
        sigma: with ``rbf`` and ``rff``: width of the kernels.
        options: other options of the features: taper_poles, frequencies, anchors, ...
        anchors: with ``rbf``: ``options`` takes the anchors from ``options``; ``rows`` draws up to 200 rows in `fit`.
        random_state: random seed of that draw.
        prefix: prefix of the column names.

    Attributes:
        dim_: number of features.
        positional_: the module that computes the features.
        n_features_in_: number of columns seen by `fit`.

    >>> LocationFeatures("sphereC", scales=8).fit_transform(np.array([[24.94, 60.17]])).shape
    (1, 24)
    """

    def __init__(
        self,
        encoder: str = "sphereC+",
        *,
        variant: Variant = "corrected",
        scales: int | None = None,
        r_min: float | None = None,
        r_max: float | None = None,
        degrees: int | None = None,
        sigma: float | None = None,
        options: Mapping[str, Any] | None = None,
        anchors: Literal["options", "rows"] = "options",
        random_state: int = 0,
        prefix: str = "f",
    ) -> None:
        self.encoder = encoder
        self.variant = variant
        self.scales = scales
        self.r_min = r_min
        self.r_max = r_max
        self.degrees = degrees
        self.sigma = sigma
        self.options = options
        self.anchors = anchors
        self.random_state = random_state
        self.prefix = prefix

    def fit(self, X: Any, y: Any = None) -> LocationFeatures:
        """Build the features and check that ``X`` has locations.

        Raises:
            InputError: missing or invalid coordinates.
            ModelError: an unknown encoder or option, or a value out of range.
        """
        title = known_as(self.encoder)
        if title == "cells":
            raise InputError("the features of cells are meaningless before training: choose another encoder")
        if self.anchors not in ("options", "rows") or (self.anchors == "rows" and title != "rbf"):
            raise InputError(
                f"anchors must be 'options', or 'rows' with rbf; got {self.anchors!r} with {title}"
            )
        lonlat = self._lonlat(X, reset=True)
        named = {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}
        twice = sorted(named.keys() & (self.options or {}).keys())
        if twice:
            raise InputError(f"{twice[0]} is given twice: as an argument and in options")
        options = {**named, **(self.options or {})}
        if self.anchors == "rows":
            drawn = np.random.default_rng(self.random_state).permutation(len(lonlat))[:200]
            options["anchors"] = lonlat[drawn]
        self.positional_ = positional(title, self.variant, **options)
        self.dim_ = self.positional_.dim
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """(N, dim_) float64 features.

        Raises:
            InputError: coordinates that are missing or out of range.
        """
        check_is_fitted(self)
        lon, lat = degrees(self._lonlat(X, reset=False))
        return np.asarray(table_of(self.positional_, lon, lat).detach().numpy())

    def get_feature_names_out(self, input_features: Any = None) -> Objects:
        """(dim_,) ``f000``, ``f001``, ..."""
        check_is_fitted(self)
        return np.array(feature_names(self.dim_, self.prefix), np.object_)

    def _lonlat(self, X: Any, *, reset: bool) -> NDArray[np.float64]:
        """(N, 2) lon, lat of the rows, checked; column names are checked as scikit-learn does."""
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
