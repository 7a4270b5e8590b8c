"""`similar_categories`, `picture_categories`: which categories of points of interest have similar vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from placevec.api.inputs import PathLike
from placevec.errors import InputError, UsageError, choose_from
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Reduction

if TYPE_CHECKING:
    import pandas as pd

    from placevec.explorer.figures.charts import ChartReport

ALL = "all"


@checked_keywords
def similar_categories(
    vectors: PathLike, category: str = ALL, *, k: Annotated[int, Limits(min=1)] = 10
) -> pd.DataFrame:
    """The POI categories nearest to one category, or to each, by the cosine of their vectors.

    Args:
        vectors: Run of poi2vec, or table of category vectors.
        category: Category, such as food/cafe or cafe; `all` for every category.
        k: Number of categories to find.

    Returns:
        One row per pair, best first: category, rank, similar (another category), cosine (-1 to 1).

    Raises:
        InputError: an unknown category, or a table without vectors.
        ModelError: a run without category vectors.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "vectors.csv"
    >>> _ = file.write_text("category,a,b\\nfood/bar,1,0\\nfood/cafe,0.9,0.1\\nshops/toys,0,1\\n")
    >>> similar_categories(file, "bar", k=1).round(2).values.tolist()
    [['food/bar', 1, 'food/cafe', 0.99]]
    """
    import numpy as np
    import pandas as pd

    from placevec.models.category_vectors import read_category_vectors

    names, rows = read_category_vectors(vectors)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    chosen = range(len(names)) if category == ALL else [_position(names, category, vectors)]
    found = []
    for at in chosen:
        cosine = unit @ unit[at]
        order = [one for one in np.argsort(-cosine, kind="stable").tolist() if one != at][:k]
        found += [(names[at], rank, names[one], float(cosine[one])) for rank, one in enumerate(order, 1)]
    return pd.DataFrame(found, columns=["category", "rank", "similar", "cosine"])


def _position(names: tuple[str, ...], asked: str, vectors: PathLike) -> int:
    """The category of a name, or the only one whose last part it is."""
    if asked in names:
        return names.index(asked)
    ends = [at for at, name in enumerate(names) if name.rpartition("/")[2] == asked.rpartition("/")[2]]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise InputError(f"{asked!r} is ambiguous: give one of {', '.join(names[at] for at in ends)}")
    raise InputError(f"{vectors} has no category {asked[:60]!r}: {choose_from(asked, names)}")


@checked_keywords
def picture_categories(
    runs: list[PathLike],
    out: PathLike,
    *,
    method: Reduction = "pca",
    progress: Progress = SILENT,
) -> ChartReport:
    """Plot the vectors of categories of points of interest in two dimensions, as a PNG.

    Args:
        runs: One run of poi2vec, or one table of category vectors.
        out: Plot to write, .png.
        method: Projection.
        progress: Receives progress reports.

    Raises:
        UsageError: several runs, or a file name without ``.png``.
        InputError: too few categories for the projection, or a table without vectors.
    """
    from placevec.explorer.figures.categories import write_categories
    from placevec.explorer.figures.plots import require_plots
    from placevec.models.category_vectors import read_category_vectors

    if len(runs) != 1:
        raise UsageError("give one run that learned category vectors, or one table of them")
    if Path(out).suffix.lower() != ".png":
        raise UsageError(f"the file name of a plot must end in .png; got {Path(out).name!r}")
    atomic.check_writable(out)
    require_plots((method,))
    names, vectors = read_category_vectors(runs[0])
    return write_categories(
        names, vectors, Path(out), method=method, title=Path(runs[0]).resolve().name, progress=progress
    )
