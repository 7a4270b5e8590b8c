"""From a vector of a location encoder back to coordinates: the nearest of a gallery of points, then steps around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings import Embeddings, Provenance
from placevec.errors import EmbeddingsError, InputError, ModelError
from placevec.geo import Floats
from placevec.geo.coordinates import wrap_longitude
from placevec.models.model import Model

GALLERY = "gallery.parquet"
POINTS = 50_000
"""Default points of a gallery, spread evenly over the sphere: about 100 km apart."""
_ROUNDS, _TRIES = 6, 48


@dataclass(frozen=True)
class Likely:
    """Likely coordinates of vectors, the most similar first.

    Attributes:
        lonlat: (Q, k, 2) degrees.
        similarity: (Q, k) cosine of the angle between the vector and that of the point.
    """

    lonlat: Floats
    similarity: NDArray[np.float32]


def gallery_of(model: Model, lonlat: Floats | None = None) -> Embeddings:
    """A model's vectors of (N, 2) points, by default of `POINTS` spread evenly over the sphere.

    Those of the default points are kept beside the model (``gallery.parquet``) and read from there the next time, as long
    as the model is the same.
    """
    if not model.bare:
        raise ModelError(
            f"only coordinates can be found from vectors, but this model reads {', '.join(model.views)}"
        )
    path = None if model.path is None or lonlat is not None else model.path / GALLERY
    if path is not None and path.is_file():
        kept = Embeddings.load(path)
        if kept.provenance.model_hash == model.hash and len(kept) == POINTS:
            return kept
    from placevec.encoders.locations.kernels import lonlat_of
    from placevec.encoders.locations.positional import fibonacci

    points = lonlat_of(fibonacci(POINTS)).numpy() if lonlat is None else np.asarray(lonlat, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(f"a gallery needs rows of lon, lat; got an array of shape {points.shape}")
    names, none = np.array([str(row) for row in range(len(points))], object), np.full(len(points), None)
    attribution = str(model.training.get("attribution", ""))
    found = Embeddings(
        place_id=names, vectors=model.embed_lonlat(points), lonlat=points, geometry=none, names=none,
        view=model.views[0],
        provenance=Provenance(model_hash=model.hash, dataset_hash="", attribution=attribution),
    )  # fmt: skip
    if path is not None:
        found.save(path)
    return found


def located(
    model: Model, vectors: NDArray[np.float32], gallery: Embeddings, k: int, *, refine: bool
) -> Likely:
    """The ``k`` most similar points of a gallery for (Q, dim) vectors; the first is then moved to where it fits best.

    Raises:
        EmbeddingsError: a gallery of another model.
        InputError: vectors of another length, zero or not finite; fewer points than ``k``.
    """
    asked = np.atleast_2d(np.asarray(vectors, np.float32))
    if gallery.provenance.model_hash != model.hash:
        raise EmbeddingsError("the gallery holds vectors of another model: build it again with this model")
    if asked.shape[1] != model.dim or not np.isfinite(asked).all() or not asked.any(axis=1).all():
        raise InputError(f"vectors must be rows of {model.dim} finite numbers that are not all zero")
    if not 1 <= k <= len(gallery):
        raise InputError(f"k must be 1 to {len(gallery):,}, the number of points in the gallery; got {k}")
    similarity = _unit(asked) @ _unit(gallery.vectors).T
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    lonlat = gallery.lonlat[best].astype(np.float64)
    found = np.take_along_axis(similarity, best, axis=1)
    if refine:
        for row, vector in enumerate(_unit(asked)):
            lonlat[row, 0], found[row, 0] = _refined(model, vector, lonlat[row, 0], float(found[row, 0]), row)
    return Likely(lonlat, found)


def _refined(
    model: Model, vector: NDArray[np.float32], start: Floats, similarity: float, seed: int
) -> tuple[Floats, float]:
    """The best of points drawn ever closer around the best so far."""
    random = np.random.default_rng([seed, 0x10C])
    here, least = start, similarity
    for turn in range(_ROUNDS):
        side = 1.0 / 4**turn
        drawn = random.normal(0, side, (_TRIES, 2)) / [max(np.cos(np.radians(here[1])), 0.01), 1.0]
        points = here + drawn
        points[:, 0] = wrap_longitude(points[:, 0])
        points[:, 1] = np.clip(points[:, 1], -90, 90)
        fits = _unit(model.embed_lonlat(points)) @ vector
        if (best := int(fits.argmax())) >= 0 and fits[best] > least:
            here, least = points[best], float(fits[best])
    return here, least


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)
