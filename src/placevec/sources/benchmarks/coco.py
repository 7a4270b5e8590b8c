"""iNaturalist 2017 and 2018, and fMoW: locations in one JSON file, classes in another one in COCO format.

``train2018_locations.json`` is a list of ``{id, lon, lat, user_id, date_c}`` (null if unknown; ``date_c`` is the
fraction of the year, 0 to 1), ``train2018.json`` has ``images`` (``id``) and ``annotations`` (``image_id``,
``category_id``), ``categories2018.json`` is a list of ``{id, name}``. fMoW has ``train_location.json``, ``train.json``
and ``category.json``, a document of name -> number. In a ``_large`` file of locations, each image has its own
``class``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError
from placevec.io.json_documents import NONE
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

_NUMBER = (float, NONE)
_KNOWN = {"lon": _NUMBER, "lat": _NUMBER, "user_id?": (int, str, NONE), "date_c?": _NUMBER}
_LOCATIONS = [{"id": (int, str), **_KNOWN}]
_LARGE = [{**_KNOWN, "class": int}]
_ANNOTATIONS = {"images": [{"id": (int, str)}], "annotations": [{"image_id": (int, str), "category_id": int}]}


def read_inat(folder: Path, year: int, features: str | None) -> Layout:
    """Read iNaturalist of a year."""
    categories = folder / f"categories{year}.json"
    listed = read_document(categories, [{"id": int, "name": str}])
    classes = named_by_id({item["id"]: item["name"] for item in listed}, categories)
    parts, files = [], [categories]
    for word in ("train", "val", "test"):
        annotations = found_file(folder, [f"{word}{year}.json", f"{word}{year}_DO_NOT_SHARE.json"])
        plain, large = folder / f"{word}{year}_locations.json", folder / f"{word}{year}_locations_large.json"
        where = features or "features_inception"
        predictions = found_file(
            folder / where, [f"inat{year}_{word}_preds_sparse.npz", f"inat{year}_{word}_preds.npy"]
        )
        if large.is_file() and not plain.is_file():
            parts.append(_large_part(word, large, len(classes)))
            files.append(large)
        elif annotations is not None and plain.is_file():
            parts.append(_part(word, plain, annotations, len(classes), predictions))
            files += [plain, annotations]
    _need_training(parts, folder, f"train{year}_locations.json and train{year}.json")
    credit = f"iNaturalist {year} (Van Horn et al. 2018), locations by Mac Aodha et al. 2019; terms: see its authors"
    return Layout(f"inat{year}", folder, classes, parts, files, credit)


def read_fmow(folder: Path, features: str | None) -> Layout:
    """Read Functional Map of the World."""
    category = folder / "category.json"
    listed = read_document(category, {str: int})
    classes = named_by_id({number: name for name, number in listed.items()}, category)
    parts, files = [], [category]
    for word in ("train", "val"):
        plain, annotations = folder / f"{word}_location.json", folder / f"{word}.json"
        if plain.is_file() and annotations.is_file():
            found = found_file(
                folder / (features or "feature_moco"),
                [f"fmow_{word}_preds.npy", f"fmow_{word}_preds_sparse.npz"],
            )
            parts.append(_part(word, plain, annotations, len(classes), found))
            files += [plain, annotations]
    _need_training(parts, folder, "train_location.json and train.json")
    credit = "fMoW (Christie et al. 2018), layout by Mai et al. 2023; terms: see its authors"
    return Layout("fmow", folder, classes, parts, files, credit)


def _part(word: str, locations: Path, annotations: Path, count: int, predictions: Path | None) -> Part:
    known = {item["id"]: item for item in read_document(locations, _LOCATIONS)}
    content = read_document(annotations, _ANNOTATIONS)
    ids = [image["id"] for image in content["images"]]
    of_image = {item["image_id"]: item["category_id"] for item in content["annotations"]}
    for name, table, file in (("location", known, locations), ("class", of_image, annotations)):
        lacking = [one for one in ids if one not in table]
        if lacking:
            raise SourceError(
                f"{file}: image {lacking[0]!r} of {annotations.name} has no {name} ({len(lacking):,} in total)"
            )
    classes = class_indices([of_image[one] for one in ids], count, annotations)
    return Part(
        side_of(word), [str(one) for one in ids], *_where([known[one] for one in ids], classes), predictions
    )


def _large_part(word: str, locations: Path, count: int) -> Part:
    content = read_document(locations, _LARGE)
    classes = class_indices([item["class"] for item in content], count, locations)
    return Part(side_of(word), [str(row) for row in range(len(content))], *_where(content, classes))


def _where(items: list[dict[str, Any]], classes: Any) -> tuple[Any, Any, Any, Any]:
    """(lonlat, classes, users, dates) of a list of images."""
    lonlat = np.array(
        [[number_or_nan(item["lon"]), number_or_nan(item["lat"])] for item in items], np.float64
    ).reshape(-1, 2)
    number: dict[Any, int] = {}
    named = [item.get("user_id") for item in items]
    users = np.array(
        [
            -1
            if _is_no_user(name)
            else name
            if isinstance(name, int)
            else number.setdefault(name, len(number))
            for name in named
        ],
        np.int64,
    )
    dates = np.array([number_or_nan(item.get("date_c")) for item in items], np.float64)
    return lonlat, classes, users, dates


def _is_no_user(name: Any) -> bool:
    return name is None or (isinstance(name, int) and name < 0)


def _need_training(parts: list[Part], folder: Path, files: str) -> None:
    if not any(part.split == "train" for part in parts):
        raise SourceError(f"{folder} has no training data: it needs {files}")
