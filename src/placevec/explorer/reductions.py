"""Dimensionality reduction by PCA, t-SNE and UMAP, and colors from three components."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError, MissingExtraError
from placevec.io.progress import SILENT, Advance, Progress
from placevec.options import choices

Array = NDArray[Any]
Method = choices.Reduction
NAMES: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""Display names."""
MIN_PLACES: dict[Method, int] = {"pca": 1, "tsne": 5, "umap": 12}
"""Minimum number of places of each method."""
COMPONENTS = 3
"""Number of components on a page."""
TSNE_ITERATIONS = 1000
_PERPLEXITY, _NEIGHBORS = 30.0, 15
_DIMENSIONS_FIRST = 50
"""Number of principal components given to t-SNE: less noise, and a much faster neighbor search."""


@dataclass(frozen=True)
class Reduction:
    """Vectors reduced to two or three dimensions.

    Attributes:
        method: the method.
        components: (N, 2 or 3) float32, centered, the farthest place at distance 1.
        explained: for PCA, the share of variance explained by each component; else empty.
        note: how to read the result.
    """

    method: Method
    components: NDArray[np.float32]
    explained: tuple[float, ...]
    note: str

    @property
    def name(self) -> str:
        """The display name of the method."""
        return NAMES[self.method]

    @property
    def axes(self) -> list[str]:
        """A name for each component."""
        if self.explained:
            return [f"PC {n + 1} ({share:.0%})" for n, share in enumerate(self.explained)]
        return [f"{self.name} {n + 1}" for n in range(self.components.shape[1])]


def reduce_vectors(
    vectors: NDArray[Any], method: Method, *, dim: int, seed: int = 0, progress: Progress = SILENT
) -> Reduction:
    """Reduce (N, D) vectors to ``dim`` dimensions, 2 or 3.

    PCA preserves distances as well as possible and is exact. t-SNE (van der Maaten & Hinton 2008, Barnes-Hut) and UMAP
    (McInnes, Healy & Melville 2018, arXiv:1802.03426) preserve neighborhoods; the sizes of groups and the distances
    between them mean little. t-SNE uses Euclidean distance of unit vectors, UMAP cosine distance.

    Raises:
        InputError: an unknown method, or too few places for it (`MIN_PLACES`).
        MissingExtraError: umap-learn is not installed.

    >>> reduction = reduce_vectors(np.eye(4), "pca", dim=2)
    >>> reduction.components.shape, reduction.axes
    ((4, 2), ['PC 1 (33%)', 'PC 2 (33%)'])
    """
    require(method)
    if dim not in (2, 3):
        raise InputError(f"dim must be 2 or 3; got {dim}")
    if len(vectors) < MIN_PLACES[method]:
        raise InputError(
            f"{NAMES[method]} needs at least {MIN_PLACES[method]} places; there are {len(vectors)}"
        )
    if method == "pca":
        components, explained = principal_components(vectors)
        return Reduction(
            "pca", components[:, :dim], explained[:dim], "distances preserved as well as possible"
        )
    if method == "tsne":
        return _tsne(np.asarray(vectors, np.float32), dim, seed, progress)
    return _umap(np.asarray(vectors, np.float32), dim, seed, progress)


def require(method: Method) -> None:
    """Check a method before any work: InputError if unknown, MissingExtraError if its package is not installed.

    >>> require("pca")
    """
    if method not in MIN_PLACES:
        raise InputError(f"method must be one of {', '.join(MIN_PLACES)}; got {method!r}")
    if method == "umap":
        import importlib.util

        if importlib.util.find_spec("umap") is None:
            raise MissingExtraError("umap-learn", "explore")


def _tsne(vectors: NDArray[np.float32], dim: int, seed: int, progress: Progress) -> Reduction:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    points = _unit(vectors)
    first = min(_DIMENSIONS_FIRST, *points.shape)
    if first < points.shape[1]:
        points = np.asarray(PCA(first, svd_solver="covariance_eigh").fit_transform(points), np.float32)
    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3.0)
    start = principal_components(points)[0][:, :dim].astype(np.float64)
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)
    with progress.task("t-SNE", total=TSNE_ITERATIONS) as advance, _captured(_Iterations(advance)):
        fitted = TSNE(
            dim, perplexity=perplexity, init=start.astype(np.float32), max_iter=TSNE_ITERATIONS, random_state=seed,
            verbose=2, n_jobs=1,
        ).fit_transform(points)  # fmt: skip
    note = f"neighborhoods preserved (perplexity {perplexity:g}, seed {seed}); distances between groups mean little"
    return Reduction("tsne", _framed(fitted), (), note)


def _umap(vectors: NDArray[np.float32], dim: int, seed: int, progress: Progress) -> Reduction:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a seed implying one thread, and about TensorFlow
        from umap import UMAP

        _keep_compiled()
        epochs = 500 if len(vectors) <= 10_000 else 200  # UMAP's defaults, explicit for the progress bar
        neighbors = min(_NEIGHBORS, len(vectors) - 1)
        with progress.task("UMAP", total=epochs) as advance:
            fitted = UMAP(
                neighbors, dim, metric="cosine", n_epochs=epochs, random_state=seed, n_jobs=1, verbose=False,
                tqdm_kwds={
                    "disable": False, "file": _Epochs(advance), "bar_format": "{n_fmt}", "ascii": True,
                    "mininterval": 0.2,
                },
            ).fit_transform(_unit(vectors))  # fmt: skip
    note = (
        f"neighborhoods preserved ({neighbors} neighbors, seed {seed}); distances between groups mean little"
    )
    return Reduction("umap", _framed(fitted), (), note)


def _keep_compiled() -> None:
    """What UMAP compiles is kept on disk: a third of a minute once, not in every process."""
    from umap import layouts, umap_, utils

    for room, name in (
        (utils, "fast_knn_indices"), (umap_, "smooth_knn_dist"), (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),
    ):  # fmt: skip
        keep = getattr(
            getattr(room, name, None), "enable_caching", None
        )  # names of other versions may differ
        if keep is not None:
            keep()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float32)


def _framed(points: NDArray[Any]) -> NDArray[np.float32]:
    """Centered, the farthest place at distance 1; places that a method could not place are at the center."""
    centered = np.asarray(points, np.float64)
    centered = np.nan_to_num(centered - np.nanmean(centered, axis=0))
    farthest = float(np.linalg.norm(centered, axis=1).max(initial=0.0)) or 1.0
    return np.asarray(centered / farthest, np.float32)


# --- progress of libraries that only print it --------------------------------------------------------------------


class _Numbers(io.TextIOBase):
    """A text stream that parses a library's printed progress and advances a progress bar."""

    pattern: re.Pattern[str]

    def __init__(self, advance: Advance) -> None:
        self._advance, self._done = advance, 0

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, text: str) -> int:
        """Parse progress numbers and advance the bar."""
        for found in self.pattern.finditer(text):
            done = int(found[1])
            if done > self._done:
                self._advance(done - self._done)
                self._done = done
        return len(text)


class _Iterations(_Numbers):
    pattern = re.compile(r"Iteration (\d+)")


class _Epochs(_Numbers):
    pattern = re.compile(r"(\d+)")


@contextlib.contextmanager
def _captured(file: io.TextIOBase) -> Iterator[None]:
    """Redirect standard output to ``file``: scikit-learn has no other way to report the progress of t-SNE."""
    with contextlib.redirect_stdout(file):  # type: ignore[type-var]
        yield


# --- colors -----------------------------------------------------------------------------------------------------


def rgb_of(components: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(N, 3) red, green, blue of (N, 3) components, each scaled from its 2nd to its 98th percentile to limit the effect
    of outliers. A constant component becomes 128.

    >>> rgb_of(np.array([[0.0, 0.0, 5.0], [1.0, 2.0, 5.0]], np.float32)).tolist()
    [[0, 0, 128], [255, 255, 128]]
    """
    values = np.asarray(components, np.float64)
    low, high = np.percentile(values, (2, 98), axis=0)
    spread = high - low
    share = np.where(spread > 0, (values - low) / np.where(spread > 0, spread, 1.0), 0.5)
    return np.floor(share.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def hex_of(rgb: NDArray[np.uint8]) -> list[str]:
    """``#rrggbb`` of (N, 3) bytes.

    >>> hex_of(np.array([[255, 0, 16]], np.uint8))
    ['#ff0010']
    """
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in rgb.tolist()]


def principal_components(vectors: Array) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """The first three principal components.

    Args:
        vectors: (N, D) finite vectors.

    Returns:
        (N, 3) float32 coordinates, centered and scaled by one factor so that the farthest place is at distance 1; and the
        share of variance explained by each component. Missing components (D < 3, or fewer than four places) are zero.

    Exact eigenvectors of the covariance matrix, as in scikit-learn's ``PCA(svd_solver="covariance_eigh")``, with the
    same sign convention (the largest loading of a component is positive).

    >>> components, explained = principal_components(np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]]))
    >>> components[:, 0].tolist(), explained[0]
    ([-1.0, 0.0, 1.0], 1.0)
    """
    count, dim = vectors.shape
    coordinates = np.zeros((count, COMPONENTS), np.float64)
    shares = np.zeros(COMPONENTS)
    centered = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    kept = min(COMPONENTS, dim, max(count - 1, 0))
    total = float(np.square(centered).sum())
    if kept and total > 0:
        values, directions = leading(centered, kept)
        largest = np.abs(directions).argmax(axis=0)
        coordinates[:, :kept] = centered @ (directions * np.sign(directions[largest, np.arange(kept)]))
        shares[:kept] = values / total
        coordinates /= np.linalg.norm(coordinates, axis=1).max() or 1.0
    return coordinates.astype(np.float32), (float(shares[0]), float(shares[1]), float(shares[2]))


def leading(rows: Array, count: int) -> tuple[Array, Array]:
    """The ``count`` largest eigenvalues of ``rows.T @ rows``, largest first, and their (D, count) eigenvectors.

    >>> leading(np.diag([1.0, 3.0]), 1)[0].tolist()
    [9.0]
    """
    from scipy.linalg import eigh

    dim = rows.shape[1]
    values, directions = eigh(rows.T @ rows, subset_by_index=[dim - count, dim - 1])
    return values[::-1].clip(0.0), directions[:, ::-1]
