"""Layers among the nearest vectors on every city left out, beside coverage: what search finds of rail, water, power.

    python -m benchmarks.layers OUT [--presence 0 2 4] [--steps 80] [--folds 4] [--included]

Extracts, folds and encoders are those of `benchmarks.transfer` (variant ``taught``, one seed), which are trained without
presence (`ShapeTileCNN`); no weight depends on it. With ``--included``: the model that comes with placevec, on the
extracts that it was not trained on. For each presence: the share of the five nearest vectors of the same city,
footprints not touching, whose places hold a layer that the query holds; coverage fractions of the same layers by cosine,
too. Then what it costs: dominant land use and groups of points of interest among the five nearest, by the same rule.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.base import LEFT_OUT
from benchmarks.transfer import prepared, trained
from placevec.datasets.dataset import Dataset
from placevec.evaluation.baselines import COVERAGE, coverage_fractions
from placevec.evaluation.bootstrap import Resampling, Score
from placevec.evaluation.engine import OURS
from placevec.evaluation.layer_recall import NEAREST, LayerRecall, layer_recall, layers_held
from placevec.evaluation.osm_tasks import landuse_labels, poi_presence
from placevec.evaluation.report import layer_table, markdown_table
from placevec.evaluation.splits import Blocks
from placevec.geo import spatial_blocks, to_ecef
from placevec.models.files import shipped
from placevec.models.model import Model

PER_CITY, BLOCK_M = 1_000, 1_000.0


def embedded(out: Path, dataset: Dataset, rows: np.ndarray, model: Model, presence: float) -> np.ndarray:
    """(n, D) vectors of some places, kept on disk."""
    tile: Any = model.modules["tile"]
    tile.presence = 0.0
    file = out / "vectors" / f"layers-{model.hash[:12]}-{presence:g}-{dataset.name}-{len(rows)}.npy"
    if not file.exists():
        tile.presence = presence
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, model.vectors(dataset, rows))
    return np.asarray(np.load(file))


def measured(out: Path, datasets: list[Dataset], models: dict[int, Model], presence: float) -> dict[str, Any]:
    """What is shared among the nearest; ``models``: number of a city -> model that never saw it."""
    random = np.random.default_rng(0)
    parts: list[tuple[Any, ...]] = []
    layers: tuple[str, ...] = ()
    for city, model in models.items():
        dataset = datasets[city]
        rows = np.sort(random.permutation(len(dataset))[:PER_CITY])
        held = layers_held(dataset, rows)
        assert held is not None
        layers, holds = held
        uses = landuse_labels(dataset, rows)
        parts.append(
            (
                embedded(out, dataset, rows, model, presence), coverage_fractions(dataset, model.seen, rows), holds,
                poi_presence(dataset, rows)[0], uses, dataset.lonlat[rows], np.full(len(rows), city),
            )
        )  # fmt: skip
    vectors, shares, holds, pois, uses, lonlat, city = map(np.concatenate, zip(*parts, strict=True))
    names = sorted({str(use) for use in uses if use is not None})
    used = np.stack([uses == name for name in names], axis=1)
    groups = poi_presence(datasets[0], np.arange(1))[1]
    where = np.stack([city, spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M)], axis=1)
    blocks = Blocks(np.unique(where, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64), BLOCK_M)
    features = {OURS: (vectors,), COVERAGE: (shares,)}
    seen = next(iter(models.values())).seen
    apart_m = datasets[0].footprint_m * 2.0**0.5

    def recall(
        held: np.ndarray, names: tuple[str, ...], seen: tuple[str, ...], one: int | None = None
    ) -> Any:
        kept = np.ones(len(city), bool) if one is None else city == one
        here = {name: tuple(values[kept] for values in sets) for name, sets in features.items()}
        part = Blocks(np.unique(blocks.number[kept], return_inverse=True)[1].astype(np.int64), BLOCK_M)
        return layer_recall(
            here, held[kept], names, seen, lonlat[kept], part, apart_m=apart_m, area=city[kept], draws=200
        )  # fmt: skip

    return {
        "layers": recall(holds, layers, seen),
        "cities": {datasets[one].name: recall(holds, layers, seen, one) for one in models},
        "land use and points of interest": recall(np.hstack([used, pois]), (*names, *map(str, groups)), ()),
        "kept": {
            what: _kept(vectors, labels, lonlat, city, blocks, apart_m)
            for what, labels in (("land use", used), ("points of interest", pois > 0))
        },
    }


def _kept(
    vectors: np.ndarray,
    labels: np.ndarray,
    lonlat: np.ndarray,
    city: np.ndarray,
    blocks: Blocks,
    apart_m: float,
) -> Score:
    """Share of the nearest that hold a label of the query, over all labels (n, L) of all queries."""
    hits, asked = np.zeros(labels.shape), np.zeros(len(city), bool)
    for one in np.unique(city):
        part = np.flatnonzero(city == one)
        away = pairwise_m(lonlat[part])
        unit = vectors[part] / np.linalg.norm(vectors[part], axis=1, keepdims=True)
        order = np.argsort(np.where(away < apart_m, np.inf, -(unit @ unit.T)), axis=1, kind="stable")[
            :, :NEAREST
        ]
        hits[part] = labels[part][order].mean(axis=1) * labels[part]
        asked[part] = (away >= apart_m).sum(axis=1) >= NEAREST
    rows = np.flatnonzero(asked & labels.any(axis=1))
    over = Resampling(blocks.number[rows], draws=200, seeds=1, lonlat=lonlat[rows], side_m=blocks.size_m)
    many, found = labels[rows].sum(axis=1), hits[rows].sum(axis=1)

    def share(weights: np.ndarray) -> np.ndarray:
        of = [weights @ np.bincount(over.block, values, weights.shape[1]) for values in (found, many)]
        return np.asarray(of[0] / np.where(of[1] > 0, of[1], np.nan))

    return over.score([share], len(rows), "logit")


def pairwise_m(lonlat: np.ndarray) -> np.ndarray:
    """(n, n) meters between places."""
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    return np.asarray(np.linalg.norm(xyz[:, None] - xyz[None], axis=2))


def shown(presence: float, found: dict[str, Any], first: dict[str, Score]) -> str:
    """Markdown; ``first``: what is kept with the first presence that was measured."""
    lines = [f"### presence {presence:g}", ""]
    for name in ("layers", "land use and points of interest"):
        lines += [name, "", *markdown_table(*layer_table(found[name]))]
    for what, kept in found["kept"].items():
        apart = kept - first[what]
        lines.append(
            f"Same {what}: {kept.value:.3f} ({kept.low:.3f} to {kept.high:.3f}), {apart.value:+.3f} ({apart.low:+.3f} to "
            f"{apart.high:+.3f}) beside the first presence; {kept.places} queries."
        )
    lines.append("")
    cities: dict[str, LayerRecall | None] = found["cities"]
    below, missed, counted = [], [], 0
    for city, recall in cities.items():
        for row in [] if recall is None else recall.rows:
            if row.seen and row.comparison is not None:
                counted += 1
                apart = row.comparison.difference
                told = (
                    f"{city} {row.layer} {row.scores[OURS].value:.3f} beside {row.scores[COVERAGE].value:.3f} "
                    f"({apart.low:+.3f} to {apart.high:+.3f}; {row.places} places, chance {row.by_chance:.2f})"
                )
                below += [told] * (apart.value < -0.005)
                missed += [told] * (apart.high < 0)
    lines += [
        f"{counted} pairs of a city and a seen layer: {len(below)} below coverage by more than .005, {len(missed)} beyond "
        "the interval.",
        "",
        *(f"- {line}" for line in below),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--presence", type=float, nargs="+", default=[0.0, 2.0, 4.0])
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=3.0, help="processor time of one training")
    parser.add_argument("--steps", type=int, help="steps of one training, instead of its time")
    parser.add_argument(
        "--included", action="store_true", help="the included model, on what it was not trained on"
    )
    arguments = parser.parse_args()
    out, folds = arguments.out, arguments.folds
    datasets = prepared(out)
    if arguments.included:
        model = Model.load(shipped("base"))
        models = {city: model for city, dataset in enumerate(datasets) if LEFT_OUT in dataset.name}
    else:
        by_fold = {
            fold: trained(out, "taught", datasets, fold, folds, 0, arguments.minutes, arguments.steps)
            for fold in range(folds)
        }
        models = {city: by_fold[city % folds] for city in range(len(datasets))}
    first: dict[str, Score] = {}
    for presence in arguments.presence:
        found = measured(out, datasets, models, presence)
        first = first or found["kept"]
        text = shown(presence, found, first)
        (out / f"layers-{'included-' * arguments.included}{presence:g}.md").write_text(text)
        print(text, flush=True)


if __name__ == "__main__":
    main()
