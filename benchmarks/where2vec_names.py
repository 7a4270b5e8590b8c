"""Do images and names of Where2Vec carry to ground that it has not seen? Natural Earth on Blue Marble, 13 types.

    python -m benchmarks.where2vec_names OUT [--method NAME ...] [--fold N ...] [--seeds 3]

Three folds of 20-degree blocks, so that every entity is tested once for each seed (`benchmarks.blue_marble`); tables have the
mean over the seeds. All see the same chips: three bands in windows of several sides. Steps have 256 places; those of the original's network take
several times as long as ours. Text models are left as they are, so that vectors of texts are computed
once, for the original too. Validation blocks choose the epoch and what is tried; test blocks are read at the end.

- Types: the nearest of the names of types, with the share of each among training places as prior; and a forest on the
  vectors, beside a forest on color statistics of the same windows, coordinates, chance and the untrained network.
- City names, raw, in seven languages: where among the images of the cities of the test blocks the right one comes, as
  a share (.5 is chance), with the English text model and the multilingual one.

What is done is kept in OUT. Not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import RandomForestClassifier

from benchmarks import blue_marble
from benchmarks.blue_marble import CITY, LANGUAGES, Entities
from placevec import api, encoders
from placevec.encoders.text import TextEncoder
from placevec.io import atomic
from placevec.io.byte_texts import tokens_of
from placevec.models.model import Model

SIDES_KM, SIZE_PX = (30.0, 60.0, 120.0), 32
BANDS = tuple(f"{color}_{side:.0f}km" for side in SIDES_KM for color in ("red", "green", "blue"))
BUFFER_KM = max(SIDES_KM) * 2**0.5
FROZEN: dict[str, Any] = {"lora_rank": 0, "device": "cpu", "precision": "fp32", "projector": 0}
OURS: dict[str, Any] = {"batch_size": 256, "learning_rate": 1e-3}
METHODS: dict[str, dict[str, Any]] = {
    "default": OURS,
    "semantic weight 0.3": {**OURS, "semantic_weight": 0.3},
    "semantic weight 1": {**OURS, "semantic_weight": 1.0},
    "band statistics": {**OURS, "band_statistics": True},
    "original": {"preset": "founding", "save_every": 0, "schedule": "cosine", "full_scale": 255.0},
    "default, multilingual": {**OURS, "text_model": "multilingual-e5-small"},
}
EPOCHS, STEPS = 8, 12
NOTHING, UNTRAINED = "nothing learned", "untrained"


def trained(
    out: Path, name: str, fold: int, seed: int, sets: dict[str, Any], options: dict[str, Any]
) -> Model:
    """A model, kept in OUT with the processor time that it took."""
    run = out / slug(name) / f"run-{fold}-{seed}"
    if not (run / "done").exists():
        began = time.process_time()
        api.train(
            "where2vec", sets["train"], out=run, force=True, validation=sets["validation"], seed=seed,
            **{**FROZEN, "epochs": EPOCHS, "steps_per_epoch": STEPS, **options},
        )  # fmt: skip
        (run / "done").write_text(f"{time.process_time() - began:.0f} s of processor time")
    return Model.load(run)


def slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def share_text_vectors(out: Path, of: Entities) -> None:
    """What a frozen text model makes of a text is computed once, and kept in OUT for all models that have the same."""
    began, kept = TextEncoder.__init__, {}

    @functools.wraps(began)
    def begin(self: TextEncoder, *arguments: Any, **options: Any) -> None:
        began(self, *arguments, **options)
        known = str(self.base_sha256)
        if known not in kept and not self.rank and torch.empty(0).device.type != "meta":
            file = out / f"texts-{known[:12]}.npy"
            texts = blue_marble.all_texts(of, LANGUAGES)
            if not file.exists():
                parts = [self._means_of(texts[at : at + 512]).numpy() for at in range(0, len(texts), 512)]
                out.mkdir(parents=True, exist_ok=True)
                with atomic.replacing(file) as temporary, open(temporary, "wb") as opened:
                    np.save(opened, np.concatenate(parts))
            kept[known] = dict(zip(texts, torch.from_numpy(np.load(file)), strict=True))
        self._means = kept.get(known, {})

    TextEncoder.__init__ = begin  # type: ignore[method-assign]


def vectors(model: Model, dataset: Any) -> np.ndarray:
    return np.asarray(model.encode(dataset)["satellite"])


@torch.no_grad()
def words(model: Model, texts: list[str]) -> np.ndarray:
    return np.asarray(F.normalize(model.modules["text"].eval()(tokens_of(texts)), dim=1))


def by_name(
    model: Model, images: dict[str, np.ndarray], types: dict[str, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """(predicted types of the test images with the prior of types, and without)."""
    names = sorted(set(types["train"]))
    known = words(model, names)
    prior = np.log([(types["train"] == name).mean() for name in names])
    truth = np.array([names.index(one) if one in names else -1 for one in types["validation"]])
    scored = []
    for scale in (3, 5, 8, 12, 20, 30, 50):
        right = (images["validation"] @ known.T * scale + prior).argmax(1) == truth
        scored.append((right.mean(), -scale))
    scale = -max(scored)[1]
    cosines = images["test"] @ known.T
    return (
        np.array(names)[(cosines * scale + prior).argmax(1)],
        np.array(names)[cosines.argmax(1)],
        np.array([max(scored)[0]]),
    )


def forest(features: dict[str, np.ndarray], types: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Predicted types of the test rows."""
    grown = RandomForestClassifier(200, min_samples_leaf=2, random_state=seed)
    return np.asarray(grown.fit(features["train"], types["train"]).predict(features["test"]))


def city_ranks(model: Model, of: Entities, rows: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """Language -> (cities,) share of the other cities' images that a name finds before its own; NaN without a name."""
    cities = of.types[rows] == CITY
    pool = images[cities]
    found = {}
    for code in LANGUAGES:
        names = [of.names[row].get(code, "") for row in rows[cities].tolist()]
        scores = words(model, names) @ pool.T
        ranks = (scores > scores.diagonal()[:, None]).sum(1) / max(len(pool) - 1, 1)
        found[code] = np.where([bool(name) for name in names], ranks, np.nan)
    return found


def without_learning(
    of: Entities, pixels: np.ndarray, rows: dict[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Predicted types of the test places by the commonest type, coordinates, and color statistics of the same windows."""
    types = {part: of.types[which] for part, which in rows.items()}
    values, counts = np.unique(types["train"], return_counts=True)
    found = {"chance: the commonest type": np.repeat(values[counts.argmax()], len(rows["test"]))}
    for what, features in (("coordinates", of.lonlat), ("color statistics", blue_marble.statistics(pixels))):
        found[f"{what}, forest"] = forest(
            {part: features[which] for part, which in rows.items()}, types, seed
        )
    return found


def with_model(
    out: Path, name: str, fold: int, seed: int, of: Entities, pixels: np.ndarray, rows: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Predicted types of the test places, and ranks of their cities."""
    types = {part: of.types[which] for part, which in rows.items()}
    sets = {
        part: blue_marble.write(out / slug(name) / f"{part}-{fold}", of, which, pixels, BANDS, LANGUAGES)
        for part, which in rows.items()
    }
    if name == UNTRAINED:
        torch.manual_seed(seed)
        network = encoders.build("spectral-cnn", bands=BANDS, full_scale=255.0).eval()
        images = {part: _encoded(network, pixels[which]) for part, which in rows.items()}
        return {f"{name}: vectors, forest": forest(images, types, seed)}
    model = trained(out, name, fold, seed, sets, METHODS[name])
    images = {part: vectors(model, dataset) for part, dataset in sets.items()}
    prior, plain, validated = by_name(model, images, types)
    return {
        f"validation {name}": validated,
        f"{name}: by names of types": prior,
        f"{name}: by names of types, no prior": plain,
        f"{name}: vectors, forest": forest(images, types, seed),
        **{f"rank {name} {code}": found for code, found in city_ranks(model, of, rows["test"], images["test"]).items()},
    }  # fmt: skip


@torch.no_grad()
def _encoded(network: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([network(torch.from_numpy(part)).numpy() for part in np.array_split(pixels, 16)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", action="append", choices=[NOTHING, UNTRAINED, *METHODS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fold", type=int, action="append", choices=range(blue_marble.FOLDS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    of = blue_marble.entities()
    share_text_vectors(asked.out, of)
    pixels = np.concatenate([blue_marble.chips(of.lonlat, side, SIZE_PX) for side in SIDES_KM], axis=1)
    found: dict[str, list[np.ndarray]] = {}
    methods, seeds = [NOTHING, UNTRAINED, *METHODS], range(asked.seeds)
    folds = list(enumerate(blue_marble.folds(of, BUFFER_KM)))
    for name, seed, (fold, parts) in itertools.product(methods, seeds, folds):
        rows = dict(zip(("train", "validation", "test"), parts, strict=True))
        file = asked.out / f"{slug(name)}-{fold}-{seed}.npz"
        wanted = name in (asked.method or methods) and fold in (asked.fold or range(blue_marble.FOLDS))
        if not file.exists() and wanted:
            asked.out.mkdir(parents=True, exist_ok=True)
            made = (
                without_learning(of, pixels, rows, seed)
                if name == NOTHING
                else with_model(asked.out, name, fold, seed, of, pixels, rows)
            )
            np.savez(file, **made)  # type: ignore[arg-type]
        if file.exists():
            collect(found, of, rows["test"], seed, name, fold, file)
    report(of, found)


def collect(
    found: dict[str, list[np.ndarray]],
    of: Entities,
    test: np.ndarray,
    seed: int,
    name: str,
    fold: int,
    file: Path,
) -> None:
    """Add what a file has of the test places of a fold: whether a type is right, or the rank of a city."""
    stored = np.load(file)
    chosen = stored.get(f"validation {name}")
    if chosen is not None:
        told = f"{chosen[0]:.3f} of the validation places by names of types"
        print(f"{name}, fold {fold}, seed {seed}: {told}", flush=True)
    cities = test[of.types[test] == CITY]
    for what, values in stored.items():
        if what.startswith("validation "):
            continue
        ranked = what.startswith("rank ")
        where = cities if ranked else test
        by_seed = found.setdefault(what, [])
        while len(by_seed) <= seed:
            by_seed.append(np.full(len(of.types), np.nan))
        by_seed[seed][where] = values if ranked else values == of.types[where]


def report(of: Entities, seeds: dict[str, list[np.ndarray]]) -> None:
    """Tables of means over the seeds, and each seed's accuracy."""
    found = {what: np.mean(values, axis=0) for what, values in seeds.items()}
    best = found.get("color statistics, forest", np.zeros(len(of.types)))
    print(
        "\n| rows | tested | accuracy | by seed | minus color statistics | mean of types |\n| - | - | - | - | - | - |"
    )
    for what, values in found.items():
        if what.startswith("rank "):
            continue
        there = np.isfinite(values) & np.isfinite(best)
        low, high = _interval(values[there], of.blocks[there])
        less, more = _interval((values - best)[there], of.blocks[there])
        macro = np.mean([values[there & (of.types == one)].mean() for one in np.unique(of.types[there])])
        print(
            f"| {what} | {there.sum():,} | {values[there].mean():.3f} ({low:.3f} to {high:.3f}) |"
            f" {', '.join(f'{one[there].mean():.3f}' for one in seeds[what])} |"
            f" {(values - best)[there].mean():+.3f} ({less:+.3f} to {more:+.3f}) | {macro:.3f} |"
        )
    print(f"\n| median rank of cities by name | {' | '.join(LANGUAGES)} |\n|{' - |' * (1 + len(LANGUAGES))}")
    for name in METHODS:
        ranks = [found.get(f"rank {name} {code}") for code in LANGUAGES]
        if ranks[0] is not None:
            print(
                f"| {name} | {' | '.join(f'{np.nanmedian(one):.3f}' for one in ranks if one is not None)} |",
                flush=True,
            )


def _interval(values: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """95%, of the mean over resampled blocks."""
    names, at = np.unique(blocks, return_inverse=True)
    sums, counts = np.bincount(at, values), np.bincount(at)
    drawn = np.random.default_rng(0).integers(0, len(names), (2000, len(names)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
