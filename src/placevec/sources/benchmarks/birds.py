"""BirdSnap and NABirds: one JSON file, ``birdsnap_with_loc_2019.json``.

It holds ``classes`` (names in order) and, under ``train``, ``valid`` and ``test``, lists of
``{valid_image, im_path, class_id, orig_meta, ebird_meta}``; each meta is ``{user_id, lon, lat, date}``. ``orig_meta``
is the metadata of the photos; ``ebird_meta`` was drawn by the authors from eBird records of the same species (results
on it are marked with a dagger). Invalid images are skipped, so rows of predictions count only valid ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError, UsageError
from placevec.io.json_documents import NONE, check
from placevec.sources.benchmarks.layout import (
    Layout,
    Part,
    class_indices,
    found_file,
    named_by_id,
    number_or_nan,
    read_document,
    side_of,
)

METAS = {"orig": "orig_meta", "ebird": "ebird_meta"}
_ITEM = {"valid_image": (bool, int), "class_id": int}
_META = {"lon": (float, NONE), "lat": (float, NONE), "user_id?": (int, NONE), "date?": (float, NONE)}


def read_birds(folder: Path, name: str, meta: str | None, features: str | None) -> Layout:
    """``birdsnap`` or ``nabirds``."""
    path = folder / f"{name}_with_loc_2019.json"
    content = read_document(path, {"classes": [str], "train": [_ITEM], "valid?": [_ITEM], "test?": [_ITEM]})
    classes = named_by_id(dict(enumerate(content["classes"])), path)
    there = [short for short, long in METAS.items() if any(long in item for item in content["train"])]
    if not there:
        raise SourceError(f"{path}: its images have neither orig_meta nor ebird_meta")
    if meta is not None and meta not in there:
        raise UsageError(f"--meta must be {' or '.join(there)} for {path}; got {meta!r}")
    chosen = meta or there[0]
    parts, total = [], 0
    for word in ("train", "valid", "test"):
        if word in content:
            kept = [item for item in content[word] if item["valid_image"]]
            total += len(content[word])
            names = [f"{name}_{word}_preds_sparse.npz", f"{name}_{word}_preds.npy"]
            found = found_file(folder / (features or "features_inception"), names)
            parts.append(_part(word, kept, METAS[chosen], len(classes), path, found))
    notes = [
        f"places and dates are those of {METAS[chosen]}"
        + (f"; use --meta {there[1]} for the others" if len(there) > 1 and meta is None else "")
    ]
    if lost := total - sum(len(part.ids) for part in parts):
        notes.append(f"{lost:,} of {total:,} images are marked as invalid and left out")
    credit = "Berg et al. 2014 (BirdSnap)" if name == "birdsnap" else "Van Horn et al. 2015 (NABirds)"
    return Layout(
        name,
        folder,
        classes,
        parts,
        [path],
        f"{credit}, locations by Mac Aodha et al. 2019; terms: see its authors",
        notes,
    )


def _part(
    word: str, items: list[dict[str, Any]], meta: str, count: int, path: Path, predictions: Path | None
) -> Part:
    try:
        check([item.get(meta) for item in items], [_META], f"{path.name}, {word}, {meta}")
    except ValueError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    metas = [item[meta] for item in items]
    lonlat = np.array(
        [[number_or_nan(one["lon"]), number_or_nan(one["lat"])] for one in metas], np.float64
    ).reshape(-1, 2)
    users = np.array(
        [-1 if one.get("user_id") is None else max(-1, one["user_id"]) for one in metas], np.int64
    )
    dates = np.array([number_or_nan(one.get("date")) for one in metas], np.float64)
    classes = class_indices([item["class_id"] for item in items], count, path)
    return Part(
        side_of(word), [str(row) for row in range(len(items))], lonlat, classes, users, dates, predictions
    )
