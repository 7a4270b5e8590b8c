"""Which region each place lies in, so that one region after the other can be left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.label_columns import label_names
from placevec.evaluation.label_rows import rows_of_places
from placevec.sources.tables.opened import ENDINGS

MAX_REGIONS = 50
"""Every region is a fold of its own, by which all probes are trained anew."""
_COLUMNS = ("region", "name")


def regions_of(named: str | Path, dataset: Dataset, labels: str | Path | None = None) -> NDArray[np.object_]:
    """(N,) name of the region of each place, None where a place lies in none.

    Args:
        named: a table of polygons or of places (its column ``region``, else ``name``, else its only one), or a
            column of ``labels`` or of the dataset's places.
        dataset: whose places are asked about.
        labels: the table of labels.

    Raises:
        SourceError: the table cannot be read or joined.
        EvaluationError: an unknown column, one region only, or more than `MAX_REGIONS`.
    """
    path = Path(named)
    if path.suffix.lower() in ENDINGS:
        table, places, rows = rows_of_places(path, dataset)
        column = _column([str(name) for name in table.columns], path)
    elif str(named) in dataset.places.columns:
        table, column = dataset.places, str(named)
        places = rows = np.arange(len(dataset))
    else:
        if labels is None:
            raise EvaluationError(_unknown(str(named), [str(name) for name in dataset.places.columns]))
        table, places, rows = rows_of_places(labels, dataset)
        column = str(named)
        if column not in map(str, table.columns):
            raise EvaluationError(_unknown(column, [str(name) for name in table.columns]))
    values = table.set_axis([str(name) for name in table.columns], axis=1)[column].iloc[rows]
    known = values.notna().to_numpy()
    held = pd.Series(values[known].astype(str).to_numpy(object)).groupby(places[known])
    commonest = held.agg(lambda names: names.mode().iloc[0])
    found = np.full(len(dataset), None, object)
    found[commonest.index.to_numpy(np.int64)] = commonest.to_numpy(object)
    many = commonest.nunique()
    if not 2 <= many <= MAX_REGIONS:
        raise EvaluationError(
            f"{named}: places lie in {many} region{'' if many == 1 else 's'}; leaving one out at a time needs 2 to "
            f"{MAX_REGIONS}"
        )
    return found


def _column(names: list[str], path: Path) -> str:
    for name in _COLUMNS:
        if name in names:
            return name
    others = label_names(names)
    if len(others) != 1:
        raise EvaluationError(
            f"{path} has {len(others)} columns that could name the regions ({', '.join(others[:8])}): rename the "
            f"right one to 'region'"
        )
    return others[0]


def _unknown(named: str, columns: list[str]) -> str:
    return f"--regions {named}: neither a table ({', '.join(ENDINGS)}) nor a column; there are {', '.join(columns[:12])}"
