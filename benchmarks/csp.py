"""What pre-training on a few hundred images is worth: location vectors before and after, on ground that no image showed.

    python -m benchmarks.csp OUT [--ground chips|rain] [--seeds 3] [--folds 3] [--only NAME ...]

``chips``: the georeferenced Sentinel-2 chips of ``PLACEVEC_DATA/sentinel2`` (EuroSAT's and SatCLIP's), asked about in Europe.
``rain``, a control in which images are known to tell where they lie: as many windows of 1.5 degrees of three rasters of
precipitation over the Americas. The ground is dealt into folds of whole blocks; for each fold and seed an encoder learns from
the images outside of the fold, and is asked about the blocks of the fold:

- image: which of the held-out images is this place's? Mean reciprocal rank over the images of the fold.
- class: EuroSAT's class, or the biome, of held-out images, by a linear probe on the vectors of the others (accuracy).
- NDVI or rain: the mean of the held-out images, by ridge regression (R2).
- temperature, N: the mean air temperature of held-out stations, by ridge regression on N stations elsewhere (R2); and the
  same with the whole encoder trained on the N, from scratch and from the pre-trained one.

Intervals are 95 % bootstraps over blocks of ground, in brackets; in parentheses those of the paired difference from the
untrained encoder of the same seed. Everything that is done is kept in OUT and not done again. Not part of ``make bench``,
which is for speed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.extracts import folder
from placevec import api, encoders
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.geo import spatial_blocks
from placevec.io import atomic
from placevec.models.model import Model

Array = NDArray[np.float64]
BLOCK_M = 400_000.0
FEW = (20, 60)
"""Stations that are learned from, of hundreds."""
WINDOWS = 217
"""Of rain: as many as there are chips."""
BOOTSTRAPS = 2000
ENCODER: dict[str, Any] = {"encoder": "sphereC+", "dim": 64, "hidden": 256, "scales": 5, "r_min": 0.1}
"""Waves of 4,000 km and longer: two hundred chips do not show more of Europe."""
TRAINED: dict[str, Any] = {"epochs": 5, "steps_per_epoch": 10, "dropout": 0.3, "weight_decay": 0.1}
"""Chosen, with the waves, by a look at seed 9, whose blocks are dealt otherwise."""
VARIANTS: dict[str, dict[str, Any]] = {
    "CSP": {"loss": "csp"},
    "CSP as in the scripts": {
        "loss": "csp", "temperature": 20.0, "background_temperature": 1.0, "twin_temperature": 1.0, "symmetric": False,
    },
    "places and images alone": {"loss": "csp", "background_weight": 0.0, "twin_weight": 0.0},
    "NCE": {"loss": "csp-nce"},
    "MSE": {"loss": "csp-mse"},
}  # fmt: skip
UNTRAINED, COORDINATES = "untrained encoder", "coordinates (4 sines and cosines)"


def chips(out: Path) -> pd.DataFrame:
    """Every chip: place_id, lon, lat, class (empty outside of EuroSAT), NDVI as ``number``, ``features`` as arrays."""
    paths = [folder() / "sentinel2" / name for name in ("eurosat_ms_200.zip", "satclip_s2l2a")]
    table, names = _images(out / "data" / "chips", paths)
    split = table["place_id"].str.split("/")
    table["class"] = np.where(split.str.len() == 3, split.str[1], "")
    return table.assign(number=[row[names.index("NDVI mean")] for row in table["features"]])


def rain(out: Path) -> pd.DataFrame:
    """Windows of precipitation (bio12, bio16, bio17), wholly on land, as the same table; the biome is the class."""
    windows, classes = out / "data" / "windows", {}
    windows.mkdir(parents=True, exist_ok=True)
    with rasterio.open(folder() / "points" / "bioclim_americas_0.5deg.tif") as file:
        values, names, grid = file.read(), list(file.descriptions), file.transform
        wet = values[[names.index(name) for name in ("bio12", "bio16", "bio17")]]
        land = (values != file.nodata).all(0)
        random = np.random.default_rng(0)
        while len(classes) < WINDOWS:
            y, x = (int(random.integers(1, side - 1)) for side in land.shape)
            if not land[y - 1 : y + 2, x - 1 : x + 2].all():
                continue
            name = f"{y:03d}-{x:03d}"
            classes[name] = f"biome {values[names.index('biome'), y, x]}"
            where = grid @ rasterio.Affine.translation(x - 1, y - 1)
            shape = {
                "width": 3,
                "height": 3,
                "count": 3,
                "dtype": "int16",
                "crs": file.crs,
                "transform": where,
            }
            with rasterio.open(windows / f"{name}.tif", "w", driver="GTiff", **shape) as window:
                window.write(wet[:, y - 1 : y + 2, x - 1 : x + 2])
    table, features = _images(out / "data" / "rain", [windows], bands="bio12,bio16,bio17")
    table["class"] = table["place_id"].map(classes)
    return table.assign(
        number=[np.log1p(1e4 * row[features.index("bio12 mean")]) for row in table["features"]]
    )


def _images(path: Path, images: list[Path], **options: Any) -> tuple[pd.DataFrame, list[str]]:
    """Places with the features of their images, and the names of those."""
    if not (path / "dataset.json").exists():
        api.prepare("sphere2vec", images=images, out=path, **options)
    dataset = Dataset.open(path)
    view = dataset.view("image_features")
    features = view.read(Look(torch.arange(len(dataset)))).numpy()  # type: ignore[union-attr]
    table = dataset.places[["place_id", "lon", "lat"]].copy()
    return table.assign(features=list(features)), list(view.spec.channels)


@dataclass(frozen=True)
class Ground:
    """Where images lie: how to get them, west, south, east, north of the stations, what ``number`` is."""

    images: Callable[[Path], pd.DataFrame]
    box: tuple[float, float, float, float]
    number: str


GROUNDS = {
    "chips": Ground(chips, (-12.0, 34.0, 36.0, 66.0), "NDVI"),
    "rain": Ground(rain, (-125.0, -56.0, -32.0, 40.0), "rain"),
}


def stations(ground: Ground) -> pd.DataFrame:
    """Weather stations there: lon, lat, mean temperature."""
    table = pd.read_csv(folder() / "points" / "air_temperature_stations.csv")
    table = table.rename(columns={"Lon": "lon", "Lat": "lat", "meanT": "value"})[["lon", "lat", "value"]]
    west, south, east, north = ground.box
    return table[table.lon.between(west, east) & table.lat.between(south, north)].reset_index(drop=True)


def fold_of(lonlat: Array, folds: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(fold, block) of points: whole blocks, dealt by a hash so that chips and stations of a block share a fold."""
    block = spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M)
    dealt = np.array([np.random.default_rng([seed, int(one)]).integers(folds) for one in block])
    return dealt, block


def prepared(out: Path, chips: pd.DataFrame, fold: int, folds: int, seed: int) -> Path:
    """A dataset of all chips whose split holds a fold out."""
    path = out / "data" / f"seed{seed}-fold{fold}of{folds}"
    if not (path / "dataset.json").exists():
        held = fold_of(chips[["lon", "lat"]].to_numpy(), folds, seed)[0] == fold
        # a split belongs to labels: any number will do, nothing learns it
        table = chips[["place_id", "lon", "lat"]].assign(
            number=chips["lat"], split=np.where(held, "test", "train")
        )
        work = out / "data" / "tables"
        work.mkdir(parents=True, exist_ok=True)
        table.to_parquet(work / f"{path.name}.parquet")
        features = pd.DataFrame(
            {"place_id": chips["place_id"], "vector": [list(map(float, row)) for row in chips["features"]]}
        )
        features.to_parquet(work / "features.parquet")
        api.prepare(
            "sphere2vec", points=work / f"{path.name}.parquet", label="number", split="split", out=path,
            image_features=work / "features.parquet",
        )  # fmt: skip
    return path


def pretrained(out: Path, dataset: Path, name: str, seed: int) -> Model:
    """The model of a variant, trained once."""
    run = out / "runs" / name.replace(",", "").replace(" ", "-") / dataset.name
    if not (run / "done").exists():
        options = {
            **ENCODER,
            **TRAINED,
            **VARIANTS[name],
            "seed": seed,
            "device": "cpu",
            "validation_share": 0.0,
        }
        api.train("sphere2vec", dataset, out=run, force=run.exists(), projector=0, **options)
        atomic.write_text(run / "done", "")
    return Model.load(run)


def vectors_of(model: Model) -> Callable[[Array], Array]:
    encoder = model.modules["location"].eval()

    def vectors(lonlat: Array) -> Array:
        with torch.no_grad():
            return encoder(torch.from_numpy(np.ascontiguousarray(lonlat))).double().numpy()  # type: ignore[no-any-return]

    return vectors


def untrained(seed: int) -> Callable[[Array], Array]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = encoders.location(**ENCODER).eval()
    return lambda lonlat: encoder(torch.from_numpy(np.ascontiguousarray(lonlat))).detach().double().numpy()


def sines(lonlat: Array) -> Array:
    angles = np.radians(lonlat)
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def ridge(train: Array, values: Array, test: Array) -> Array:
    probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
    return np.asarray(probe.fit(train, values).predict(test))


def classify(train: Array, labels: NDArray[Any], test: Array) -> NDArray[Any]:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return np.asarray(probe.fit(train, labels).predict(test))


def probed(
    vectors: Callable[[Array], Array], ground: Ground, images: pd.DataFrame, seed: int, fold: int, folds: int
) -> dict[str, Any]:
    """Per held-out row: its block, and what its answer counts in each task."""
    where = images[["lon", "lat"]].to_numpy()
    part, block = fold_of(where, folds, seed)
    told = (images["class"] != "").to_numpy()
    train, test = told & (part != fold), told & (part == fold)
    known, asked = vectors(where[train]), vectors(where[test])
    found: dict[str, Any] = {}
    names, numbers = images["class"].to_numpy(), images["number"].to_numpy()
    right = classify(known, names[train], asked) == names[test]
    found["class"] = {"block": block[test].tolist(), "right": right.astype(float).tolist()}
    answers = ridge(known, numbers[train], asked)
    found[ground.number] = _residuals(block[test], numbers[test], answers, numbers[train])
    table = stations(ground)
    where = table[["lon", "lat"]].to_numpy()
    part, block = fold_of(where, folds, seed)
    test, values = part == fold, table["value"].to_numpy()
    for few in FEW:
        chosen = np.random.default_rng([seed, fold, few]).choice(
            np.flatnonzero(part != fold), few, replace=False
        )
        answers = ridge(vectors(where[chosen]), values[chosen], vectors(where[test]))
        found[f"temperature, {few}"] = _residuals(block[test], values[test], answers, values[part != fold])
    return found


def _residuals(block: NDArray[np.int64], truth: Array, answers: Array, known: Array) -> dict[str, Any]:
    """Squared errors of answers, and of the mean of what is known elsewhere."""
    return {
        "block": block.tolist(), "error": ((answers - truth) ** 2).tolist(),
        "spread": ((truth - known.mean()) ** 2).tolist(),
    }  # fmt: skip


def retrieved(model: Model, chips: pd.DataFrame, seed: int, fold: int, folds: int) -> dict[str, Any]:
    """Reciprocal ranks of held-out chips among themselves, by the model's own cosines; not of ``MSE``, which has none."""
    part, block = fold_of(chips[["lon", "lat"]].to_numpy(), folds, seed)
    test = (part == fold) & (chips["class"] != "").to_numpy()
    features = torch.from_numpy(np.stack(chips["features"].to_numpy()[test]).astype(np.float32))
    where = torch.from_numpy(chips[["lon", "lat"]].to_numpy()[test])
    with torch.no_grad():
        place = torch.nn.functional.normalize(model.modules["location"].eval()(where).float(), dim=1)
        image = torch.nn.functional.normalize(model.modules["image"].eval()(features).float(), dim=1)
    cosines = place @ image.T
    ranks = (cosines > cosines.diagonal()[:, None]).sum(1) + 1
    chance = (1.0 / np.arange(1, test.sum() + 1)).mean()
    return {"block": block[test].tolist(), "right": (1.0 / ranks.numpy()).tolist(), "chance": float(chance)}


def fine_tuned(
    out: Path, ground: Ground, init: Path | None, seed: int, fold: int, folds: int, few: int
) -> dict[str, Any]:
    """Squared errors at held-out stations of an encoder trained on a few, from a run or from scratch."""
    table = stations(ground)
    part, block = fold_of(table[["lon", "lat"]].to_numpy(), folds, seed)
    test = part == fold
    chosen = np.random.default_rng([seed, fold, few]).choice(np.flatnonzero(part != fold), few, replace=False)
    split = np.where(np.isin(np.arange(len(table)), chosen), "train", np.where(test, "test", ""))
    name = f"temperature-{few}-seed{seed}-fold{fold}of{folds}"
    path = out / "data" / name
    if not (path / "dataset.json").exists():
        work = out / "data" / "tables"
        table.assign(split=split)[split != ""].to_parquet(work / f"{name}.parquet")
        api.prepare("sphere2vec", points=work / f"{name}.parquet", label="value", split="split", out=path)
    run = out / "runs" / ("scratch" if init is None else "from-CSP") / name
    options: dict[str, Any] = {
        "epochs": 5,
        "steps_per_epoch": 10,
        "seed": seed,
        "device": "cpu",
        "validation_share": 0.0,
    }
    options |= {"dropout": 0.1, **({"init": str(init)} if init else ENCODER)}
    model = api.train("sphere2vec", path, out=run, force=run.exists(), projector=0, **options)
    values = table["value"].to_numpy()
    answers = model.predict_lonlat(table.loc[test, ["lon", "lat"]].to_numpy())[:, 0]
    return _residuals(block[test], values[test], np.asarray(answers, np.float64), values[part != fold])


def cell(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not path.exists():
        atomic.write_json(path, make())
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def collected(
    out: Path, ground: Ground, names: Sequence[str], seeds: int, folds: int
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """method -> task -> one part for each seed and fold."""
    pictures = ground.images(out)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def keep(method: str, parts: Mapping[str, Any]) -> None:
        for task, part in parts.items():
            found.setdefault(method, {}).setdefault(task, []).append(part)

    for seed in range(seeds):
        for fold in range(folds):
            dataset = prepared(out, pictures, fold, folds, seed)
            results = out / "results" / dataset.name

            def probe(
                vectors: Callable[[Array], Array], seed: int = seed, fold: int = fold
            ) -> dict[str, Any]:
                return probed(vectors, ground, pictures, seed, fold, folds)

            keep(
                UNTRAINED,
                cell(results / "untrained.json", lambda probe=probe, seed=seed: probe(untrained(seed))),
            )  # type: ignore[misc]
            keep(COORDINATES, cell(results / "coordinates.json", lambda probe=probe: probe(sines)))  # type: ignore[misc]
            for name in names:
                model = pretrained(out, dataset, name, seed)
                short = name.replace(",", "").replace(" ", "-")
                keep(
                    name,
                    cell(
                        results / f"{short}.json", lambda probe=probe, model=model: probe(vectors_of(model))
                    ),
                )  # type: ignore[misc]
                if name != "MSE":
                    keep(name, {"image": retrieved(model, pictures, seed, fold, folds)})
                if name == "CSP":
                    for few in FEW:
                        for init in (None, model.path):
                            method = "fine-tuned from CSP" if init else "trained from scratch"
                            path = results / f"{'tuned' if init else 'scratch'}-{few}.json"
                            part = cell(
                                path,
                                lambda i=init, s=seed, f=fold, n=few: fine_tuned(
                                    out, ground, i, s, f, folds, n
                                ),
                            )  # type: ignore[misc]
                            keep(method, {f"temperature, {few}": part})
    return found


def scored(parts: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]] | None) -> str:
    """Score with its 95 % interval, and that of its difference from ``base``, over resampled blocks."""
    keys = sorted({(at, block) for at, part in enumerate(parts) for block in part["block"]})
    where = {key: number for number, key in enumerate(keys)}

    def sums(of: Sequence[dict[str, Any]]) -> Array:
        total = np.zeros((len(keys), 3))
        for at, part in enumerate(of):
            rows = [where[at, block] for block in part["block"]]
            values = (
                (part["right"], [0.0] * len(rows)) if "right" in part else (part["error"], part["spread"])
            )
            np.add.at(total, rows, np.stack([*values, [1.0] * len(rows)], 1))
        return total

    def score(total: Array) -> Array:
        first, second, count = np.moveaxis(total, -1, 0)
        return first / count if "right" in parts[0] else 1.0 - first / second  # type: ignore[no-any-return]

    drawn = np.random.default_rng(0).integers(0, len(keys), (BOOTSTRAPS, len(keys)))
    own = sums(parts)
    sample = score(own[drawn].sum(1))
    low, high = np.percentile(sample, [2.5, 97.5])
    text = f"{score(own.sum(0)):.3f} [{low:.3f}, {high:.3f}]"
    if base is not None:
        apart = np.percentile(sample - score(sums(base)[drawn].sum(1)), [2.5, 97.5])
        text += f" ({apart[0]:+.3f} to {apart[1]:+.3f})"
    return text


def table(found: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> str:
    tasks = list(dict.fromkeys(task for parts in found.values() for task in parts))
    lines = ["| vectors | " + " | ".join(tasks) + " |", "| --- |" + " --- |" * len(tasks)]
    for method, parts in found.items():
        cells = []
        for task in tasks:
            base = found[UNTRAINED].get(task) if method != UNTRAINED else None
            cells.append(scored(parts[task], base) if task in parts else "")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    chances = [part["chance"] for parts in found.values() for part in parts.get("image", [])]
    lines.append(f"\nMean reciprocal rank of a random order: {np.mean(chances):.3f}.")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--ground", choices=GROUNDS, default="chips")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    chosen = parser.parse_args()
    out = chosen.out / chosen.ground
    text = table(collected(out, GROUNDS[chosen.ground], chosen.only, chosen.seeds, chosen.folds))
    atomic.write_text(out / "csp.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
