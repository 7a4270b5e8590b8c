"""YFCC100M-GEO100: ``train_test_split.csv`` (lon, lat, class, split), ``class_names.csv`` (id, name)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from placevec.errors import SourceError
from placevec.sources.benchmarks.layout import Layout, Part, class_indices, found_file, named_by_id
from placevec.sources.tables.values import splits

_SIDES = {"train": ("train",), "validation": ("val", "valid"), "test": ("test",)}
"""Parts of the split, in the order of `splits`, and their names in files of predictions."""
_NO_NUMBER = ("", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "None")
_CREDIT = "YFCC100M-GEO100 (Tang et al. 2015), layout by Mac Aodha et al. 2019; terms: see its authors"


def read_yfcc(folder: Path, features: str | None) -> Layout:
    """Read the Flickr photos."""
    table, names = folder / "train_test_split.csv", folder / "class_names.csv"
    rows = _table(table, {"lon": float, "lat": float, "class": "int64", "split": str})
    listed = _table(names, {"id": "int64", "name": str})
    classes = named_by_id(dict(zip(listed["id"].tolist(), listed["name"].tolist(), strict=True)), names)
    sides = splits(pa.array(rows["split"], pa.string()), f"{table}, column 'split',")
    if (sides < 0).any():
        raise SourceError(f"{table}, row {int(np.flatnonzero(sides < 0)[0]) + 1} has no split")
    parts = []
    for side, (name, words) in enumerate(_SIDES.items()):
        of_side = rows[sides == side]
        if len(of_side):
            found = found_file(
                folder / (features or "features_inception"),
                [f"YFCC_{word}_preds{end}" for word in words for end in (".npy", "_sparse.npz")],
            )
            indices = class_indices(of_side["class"].tolist(), len(classes), table)
            lonlat = of_side[["lon", "lat"]].to_numpy(np.float64)
            parts.append(Part(name, [str(row) for row in of_side.index], lonlat, indices, predictions=found))
    if not any(part.split == "train" for part in parts):
        raise SourceError(f"{table}: no row has the split 'train'")
    return Layout("yfcc", folder, classes, parts, [table, names], _CREDIT)


def _table(path: Path, types: dict[str, object]) -> pd.DataFrame:
    """Columns of a CSV. NA and the like are missing coordinates, but valid texts: NA is Namibia."""
    missing = {name: _NO_NUMBER for name, kind in types.items() if kind is float}
    try:
        frame = pd.read_csv(path, usecols=list(types), dtype=types, keep_default_na=False, na_values=missing)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist, but the layout needs it") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:  # pandas errors derive from ValueError
        raise SourceError(f"cannot read {path} with its columns {', '.join(types)}: {error}") from error
    if len(frame) == 0:
        raise SourceError(f"{path} has no rows")
    return frame
