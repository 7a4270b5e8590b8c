"""YFCC100M-GEO100: ``train_test_split.csv`` (lon, lat, class, split), ``class_names.csv`` (id, name)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from placevec.errors import SourceError
from placevec.sources.geo_prior.layout import Layout, Part, class_indices, found_file, named_by_id, side_of

_CREDIT = "YFCC100M-GEO100 (Tang et al. 2015), as laid out by Mac Aodha et al. 2019; terms: see its authors"


def read_yfcc(folder: Path, features: str | None) -> Layout:
    """The photos of Flickr."""
    table, names = folder / "train_test_split.csv", folder / "class_names.csv"
    rows = _table(table, {"lon": float, "lat": float, "class": "int64", "split": str})
    listed = _table(names, {"id": "int64", "name": str})
    classes = named_by_id(dict(zip(listed["id"].tolist(), listed["name"].tolist(), strict=True)), names)
    parts = []
    for word in ("train", "val", "test"):
        of_side = rows[rows["split"] == word]
        if len(of_side):
            found = found_file(
                folder / (features or "features_inception"),
                [f"YFCC_{word}_preds.npy", f"YFCC_{word}_preds_sparse.npz"],
            )
            indices = class_indices(of_side["class"].tolist(), len(classes), table)
            lonlat = of_side[["lon", "lat"]].to_numpy(np.float64)
            parts.append(
                Part(side_of(word), [str(row) for row in of_side.index], lonlat, indices, predictions=found)
            )
    if not any(part.split == "train" for part in parts):
        raise SourceError(f"{table}: no row is of the split 'train'")
    return Layout("yfcc", folder, classes, parts, [table, names], _CREDIT)


def _table(path: Path, types: dict[str, object]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, usecols=list(types), dtype=types, keep_default_na=True)
    except FileNotFoundError:
        raise SourceError(f"{path} is not there: the layout needs it") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:  # pandas' own derive from ValueError
        raise SourceError(f"cannot read {path} with its columns {', '.join(types)}: {error}") from error
    if len(frame) == 0:
        raise SourceError(f"{path} holds no rows")
    return frame
