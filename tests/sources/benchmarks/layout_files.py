"""Small files of exactly the layouts that the geo-prior benchmarks have; made up, no data of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def predictions(path: Path, rows: int, classes: int) -> np.ndarray:
    """Random ones; two thirds of a sparse file are zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = np.random.default_rng(rows).dirichlet(np.ones(classes), rows).astype(np.float32)
    if path.suffix == ".npz":
        found[np.random.default_rng(1).random(found.shape) < 0.6] = 0
        sparse.save_npz(path, sparse.csr_matrix(found))
    else:
        np.save(path, found)
    return found


def _coco(folder: Path, locations: str, annotations: str, first: int, items: list[tuple[Any, ...]]) -> None:
    """``items``: (lon, lat, user, date, class)."""
    ids = list(range(first, first + len(items)))
    placed = [
        {
            "id": one,
            "lon": lon,
            "lat": lat,
            "loc_uncert": None,
            "date": "2017-05-01",
            "date_c": date,
            "user_id": user,
        }
        for one, (lon, lat, user, date, _) in zip(ids, items, strict=True)
    ]
    _write(folder / locations, placed[::-1])  # in another order: ids join the two
    content = {
        "info": {}, "licenses": [],
        "images": [{"id": one, "file_name": f"{one}.jpg", "height": 1, "width": 1} for one in ids],
        "annotations": [
            {"id": 10 * one, "image_id": one, "category_id": item[4]} for one, item in zip(ids, items, strict=True)
        ],
    }  # fmt: skip
    _write(folder / annotations, content)


def inat(folder: Path, year: int) -> np.ndarray:
    """Four photos to train on, of which one has no place; three of validation; returns the predictions of these."""
    train = [
        (24.9, 60.2, 7, 0.5, 0),
        (-179.5, -16.5, 8, 0.1, 1),
        (None, None, None, 0.2, 2),
        (14.5, 35.9, 7, 1.0, 2),
    ]
    _coco(folder, f"train{year}_locations.json", f"train{year}.json", 100, train)
    val = [(25.0, 61.0, 9, 0.0, 2), (None, None, None, 0.9, 1), (15.0, 36.0, None, 0.3, 3)]
    _coco(folder, f"val{year}_locations.json", f"val{year}.json", 500, val)
    _write(
        folder / f"categories{year}.json",
        [{"id": i, "name": name} for i, name in enumerate(["owl", "jay", "jay", "kea"])],
    )
    return predictions(folder / "features_inception" / f"inat{year}_val_preds_sparse.npz", 3, 4)


def fmow(folder: Path) -> np.ndarray:
    train = [(24.9, 60.2, None, 0.5, 0), (10.0, 50.0, None, 0.1, 1)]
    _coco(folder, "train_location.json", "train.json", 0, train)
    _coco(folder, "val_location.json", "val.json", 2, [(11.0, 51.0, None, 0.2, 1)])
    _write(folder / "category.json", {"stadium": 1, "airport": 0})
    return predictions(folder / "feature_moco" / "fmow_val_preds.npy", 1, 2)


def birds(folder: Path, name: str) -> np.ndarray:
    """Images that are not valid lie between the others."""

    def item(kind: int, place: tuple[Any, ...] | None, *, valid: bool = True) -> dict[str, Any]:
        lon, lat, user, date = place or (None, None, None, None)
        simulated = {"lon": 1.0 + kind, "lat": 2.0, "user_id": 40 + kind, "date": 0.75}
        found = {"valid_image": valid, "im_path": "a/b.jpg", "class_id": kind, "ebird_meta": simulated}
        if name == "birdsnap":
            found["orig_meta"] = {"lon": lon, "lat": lat, "user_id": user, "date": date}
        return found

    content = {
        "classes": ["Acadian Flycatcher", "Acorn Woodpecker"],
        "train": [
            item(0, (-80.0, 40.0, 3, 0.5)),
            item(1, None, valid=False),
            item(1, (-120.0, 37.0, 4, 0.25)),
            item(1, None),
        ],
        "valid": [item(0, None)],
        "test": [item(1, None, valid=False), item(0, None), item(1, (-121.0, 38.0, 5, 0.5))],
    }
    _write(folder / f"{name}_with_loc_2019.json", content)
    return predictions(folder / "features_inception" / f"{name}_test_preds_sparse.npz", 2, 2)


def yfcc(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        (1.0, 2.0, 0, "train"),
        (3.0, 4.0, 1, "val"),
        (5.0, 6.0, 1, "train"),
        (7.0, 8.0, 0, "test"),
        (9.0, 10.0, 1, "test"),
    ]
    pd.DataFrame(rows, columns=["lon", "lat", "class", "split"]).to_csv(
        folder / "train_test_split.csv", index=False
    )
    pd.DataFrame({"id": [1, 0], "name": ["beach", "alley"]}).to_csv(folder / "class_names.csv", index=False)
    return predictions(folder / "features_inception" / "YFCC_test_preds.npy", 2, 2)
