"""One picture of images and words: both in one projection, colored by the most frequent types."""

from __future__ import annotations

import importlib.util
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from placevec.explorer.figures.canvas import INK, PAPER, QUIET, fonts, latin, shown
from placevec.explorer.figures.charts import COLORS, DOTS
from placevec.explorer.reductions import MIN_PLACES, Method, Reduction, reduce_vectors
from placevec.geo import Floats
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress

MAX_DRAWN = 2_000
_OTHER = "#b5b8ba"


def method_for(places: int) -> Method:
    """UMAP where umap-learn is installed, else t-SNE; PCA of fewer places than either needs."""
    wanted: Method = "umap" if importlib.util.find_spec("umap") is not None else "tsne"
    return wanted if 2 * places >= MIN_PLACES[wanted] else "pca"


def write_modalities(
    images: Floats,
    words: Floats,
    types: Sequence[str],
    path: Path,
    *,
    method: Method | None = None,
    seed: int = 0,
    title: str = "",
    credit: str = "",
    progress: Progress = SILENT,
) -> Reduction:
    """Write a PNG of (n, D) images (dots) and words (triangles) of the same places, projected together.

    Args:
        images: vectors.
        words: row i is of the same place as row i of the images.
        types: n names, empty where none is known; the most frequent have colors of their own. Hostile text.
        path: PNG file.
        method: ``umap``, ``tsne`` or ``pca``; by default `method_for` as many places.
        seed: of the projection, and of the places drawn where there are more than `MAX_DRAWN`.
        title: above the picture.
        credit: below it.
        progress: where to report.

    Returns:
        Projection of the images and then of the words that are drawn.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = np.arange(len(images))
    if len(rows) > MAX_DRAWN:
        rows = np.sort(np.random.default_rng([seed, 0x3D]).choice(rows, MAX_DRAWN, replace=False))
    both = np.concatenate([_unit(images[rows]), _unit(words[rows])])
    found = reduce_vectors(both, method or method_for(len(rows)), dim=2, seed=seed, progress=progress)
    names = [types[row] for row in rows.tolist()]
    frequent = [name for name, _ in Counter(name for name in names if name).most_common(len(COLORS))]
    color_of = dict(zip(frequent, COLORS, strict=False))
    with rc_context({"font.family": fonts()}):
        figure = Figure(figsize=(10.0, 7.5), dpi=DOTS, facecolor=PAPER)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0.05, 0.08, 0.68, 0.78))
        colors = [color_of.get(name, _OTHER) for name in names]
        for marker, part in (("o", found.components[: len(rows)]), ("^", found.components[len(rows) :])):
            axes.scatter(part[:, 0], part[:, 1], s=12, c=colors, marker=marker, linewidths=0, alpha=0.8)
        axes.set_aspect("equal", adjustable="datalim")
        axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
        shape = f"{len(rows):,} places, dots: images, triangles: words; {found.name}: {found.note}"
        for bottom, text, size, color in (
            (0.93, title, 15, INK),
            (0.885, shape, 8.5, QUIET),
            (0.02, credit, 7, QUIET),
        ):
            figure.text(0.05, bottom, shown(text, 130), parse_math=False, size=size, color=color)
        for number, (name, color) in enumerate([*color_of.items(), ("other types", _OTHER)]):
            figure.text(
                0.76, 0.82 - 0.035 * number, shown(f"■ {name}", 34), parse_math=False, size=9, color=color
            )
        with replacing(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing glyphs are drawn as boxes
            canvas.print_png(str(temporary), metadata={"Title": None, "Copyright": latin(credit)})
    return found


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
