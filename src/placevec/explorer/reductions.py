"""Vectors in few dimensions: PCA, t-SNE and UMAP, and the colors that three of them make."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError, MissingExtraError
from placevec.io.progress import SILENT, Advance, Progress

Array = NDArray[Any]
Method = Literal["pca", "tsne", "umap"]
NAMES: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""As people write them."""
FEWEST: dict[Method, int] = {"pca": 1, "tsne": 5, "umap": 12}
"""Places that each needs."""
COMPONENTS = 3
"""That a page draws."""
_ITERATIONS = 1000
_PERPLEXITY, _NEIGHBORS = 30.0, 15
_DIMENSIONS_FIRST = 50
"""Principal components that t-SNE starts from: noise goes, and neighbors are found in a fraction of the time."""


@dataclass(frozen=True)
class Reduction:
    """Vectors in few dimensions.

    Attributes:
        method: how.
        components: (N, 2 or 3) float32, centered, the farthest place at distance 1.
        explained: for PCA, the share of the variance that each component holds; else empty.
        note: what must be known to read it.
    """

    method: Method
    components: NDArray[np.float32]
    explained: tuple[float, ...]
    note: str

    @property
    def name(self) -> str:
        """The method as people write it."""
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

    PCA keeps distances as far as it can, and is exact. t-SNE (van der Maaten & Hinton 2008, Barnes-Hut) and UMAP
    (McInnes, Healy & Melville 2018, arXiv:1802.03426) keep neighborhoods: how far apart groups lie in them, and how
    large they are, says little. t-SNE compares by distance between vectors of length 1, UMAP by cosine.

    Raises:
        InputError: an unknown method, or fewer places than it needs (`FEWEST`).
        MissingExtraError: umap-learn is not installed.
    """
    require(method)
    if dim not in (2, 3):
        raise InputError(f"vectors are reduced to 2 or 3 dimensions; got {dim}")
    if len(vectors) < FEWEST[method]:
        raise InputError(f"{NAMES[method]} needs at least {FEWEST[method]} places; there are {len(vectors)}")
    if method == "pca":
        components, explained = principal_components(vectors)
        return Reduction(
            "pca", components[:, :dim], explained[:dim], "distances kept as far as so few dimensions can"
        )
    if method == "tsne":
        return _tsne(np.asarray(vectors, np.float32), dim, seed, progress)
    return _umap(np.asarray(vectors, np.float32), dim, seed, progress)


def require(method: Method) -> None:
    """InputError for an unknown method, MissingExtraError when what it needs is not installed: told before the work."""
    if method not in FEWEST:
        raise InputError(f"vectors are reduced by {', '.join(FEWEST)}; got {method!r}")
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
    with progress.task("t-SNE", total=_ITERATIONS) as advance, _told(_Iterations(advance)):
        fitted = TSNE(
            dim, perplexity=perplexity, init=start.astype(np.float32), max_iter=_ITERATIONS, random_state=seed, verbose=2,
            n_jobs=1,
        ).fit_transform(points)  # fmt: skip
    note = f"neighborhoods kept (perplexity {perplexity:g}, seed {seed}); distances between groups say little"
    return Reduction("tsne", _framed(fitted), (), note)


def _umap(vectors: NDArray[np.float32], dim: int, seed: int, progress: Progress) -> Reduction:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread, and that TensorFlow is not installed
        from umap import UMAP

        epochs = 500 if len(vectors) <= 10_000 else 200  # its own defaults, named so that the bar knows them
        neighbors = min(_NEIGHBORS, len(vectors) - 1)
        with progress.task("UMAP", total=epochs) as advance:
            fitted = UMAP(
                neighbors, dim, metric="cosine", n_epochs=epochs, random_state=seed, n_jobs=1, verbose=False,
                tqdm_kwds={
                    "disable": False, "file": _Epochs(advance), "bar_format": "{n_fmt}", "ascii": True,
                    "mininterval": 0.2,
                },
            ).fit_transform(_unit(vectors))  # fmt: skip
    note = f"neighborhoods kept ({neighbors} neighbors, seed {seed}); distances between groups say little"
    return Reduction("umap", _framed(fitted), (), note)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float32)


def _framed(points: NDArray[Any]) -> NDArray[np.float32]:
    """Centered, the farthest place at distance 1; places that a method could not place lie in the middle."""
    centered = np.asarray(points, np.float64)
    centered = np.nan_to_num(centered - np.nanmean(centered, axis=0))
    farthest = float(np.linalg.norm(centered, axis=1).max(initial=0.0)) or 1.0
    return np.asarray(centered / farthest, np.float32)


# --- progress of libraries that only print it --------------------------------------------------------------------


class _Numbers(io.TextIOBase):
    """A text file that takes what a library prints of its progress, and moves a bar by it."""

    pattern: re.Pattern[str]

    def __init__(self, advance: Advance) -> None:
        self._advance, self._done = advance, 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Take the last number that says how far it is."""
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
def _told(file: io.TextIOBase) -> Iterator[None]:
    """What is printed goes into ``file``: scikit-learn has no other way to tell how far t-SNE is."""
    with contextlib.redirect_stdout(file):  # type: ignore[type-var]
        yield


# --- colors -----------------------------------------------------------------------------------------------------


def rgb_of(components: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(N, 3) red, green, blue of (N, 3) components: each from its 2nd to its 98th percentile, so that outliers do not
    dim the rest. A component without spread is mid-gray in its channel.

    >>> rgb_of(np.array([[0.0, 0.0, 5.0], [1.0, 2.0, 5.0]], np.float32)).tolist()
    [[0, 0, 128], [255, 255, 128]]
    """
    values = np.asarray(components, np.float64)
    low, high = np.percentile(values, (2, 98), axis=0)
    spread = high - low
    share = np.where(spread > 0, (values - low) / np.where(spread > 0, spread, 1.0), 0.5)
    return np.floor(share.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def hex_of(rgb: NDArray[np.uint8]) -> list[str]:
    """``#rrggbb`` of (N, 3) bytes."""
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in rgb.tolist()]


def principal_components(vectors: Array) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """The vectors seen along their three directions of largest variance.

    Args:
        vectors: (N, D) finite.

    Returns:
        (N, 3) float32 coordinates, centered, all divided by one number so that the farthest place lies at 1
        (so distances keep their proportions); and the share of the variance that each component explains.
        Components that do not exist (D < 3, or fewer than four places) are zero.

    Exact: the eigenvectors of the covariance matrix, as in scikit-learn's ``PCA(svd_solver="covariance_eigh")``,
    with its rule for signs (the largest loading of a component is positive).
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
    """The largest ``count`` eigenvalues of ``rows.T @ rows``, largest first, and their (D, count) eigenvectors."""
    from scipy.linalg import eigh

    dim = rows.shape[1]
    values, directions = eigh(rows.T @ rows, subset_by_index=[dim - count, dim - 1])
    return values[::-1].clip(0.0), directions[:, ::-1]
