"""Map and words on cities that nothing has seen: the default objective beside the founding one and beside ridge.

    python -m benchmarks.where2vec_quality OUT [--choose] [--objective NAME ...] [--seeds 3] [--folds 3] [--steps 200]

The extracts of ``PLACEVEC_DATA/osm`` are dealt into folds of whole cities; for each fold and seed a model is trained on
the cities of the other folds, and asked about those left out: of which group a place is, by its name (prompt ensemble);
of which type, by a name that training never gave as one; and which of the places of one group in one city some words
are about (words of what lies around). Objectives share networks, places, texts, learning rate, batches and steps; the
text model is frozen, so that texts are embedded once. Ridge regression maps shares and counts of the same layers into
the frozen text space, for each question with targets of its own, which favors it. Groups are asked for twice: by the
nearest name, and by Bayes' rule with the shares of groups in training (`Vectors.named_by_share`).

With ``--choose`` a further row has, in each fold, the setting of the default objective (`CANDIDATES`) that is best on
three of the training cities when trained on the others: one seed, the mean of macro recall of groups and R@10 within
a group, each in standard deviations over the candidates. It is then trained on all training cities, with every seed.

What gives types away is kept out of the map: the layers that draw amenities, shops, leisure, natural features, land
cover and names of places are dropped, and only groups that these layers draw are asked about, without those types
that another layer draws too (`DRAWN_ELSEWHERE`). Roads, buildings, railways, airfields, water, power lines and
boundaries are seen.

Everything that is done is kept in OUT and not done again. Not part of ``make bench``, which is for speed.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from benchmarks.extracts import folder
from benchmarks.where2vec_choice import CANDIDATES, Choice, Setting, described, held_out, tried
from placevec import api
from placevec.core import Look, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.place_types import types_of
from placevec.evaluation.bootstrap import Resampling
from placevec.evaluation.compare import compare
from placevec.evaluation.retrieval.ranks import Found, by_chance, found, unit
from placevec.evaluation.retrieval.rows import macro_recall
from placevec.evaluation.ridge import predicted
from placevec.evaluation.scores import weighted_mean
from placevec.evaluation.splits import inner_parts
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.inference.texts import embed_texts
from placevec.inference.typed_places import temperature_of
from placevec.inference.zero_shot import prompts_for, type_vectors, words_of_type
from placevec.io import atomic
from placevec.models.model import Model
from placevec.recipes.where2vec.config import Where2VecConfig

DROPPED = ("amenities", "leisure", "natural-features", "landcover", "places")
GROUPS = ("amenity", "shop", "tourism", "office", "leisure", "historic", "place", "natural", "landuse")
"""Groups of types that the dropped layers draw."""
DRAWN_ELSEWHERE = (
    "leisure/marina", "leisure/swimming_pool", "leisure/slipway", "leisure/nature_reserve", "amenity/fountain",
    "amenity/swimming_pool", "historic/citywalls", "historic/city_gate", "historic/aircraft", "natural/water",
    "landuse/railway", "landuse/pond", "landuse/harbour", "office/energy_supplier", "place/island", "place/islet",
)  # fmt: skip
"""Types of these groups that show as water, walls, rails or power too."""
PLACES_PER_CITY, MIN_PLACES, MIN_CITIES = 700, 30, 4
WINDOW: dict[str, Any] = {"size_px": 64, "size_m": 200.0, "drop_layers": DROPPED}
SHARED: dict[str, Any] = {
    **WINDOW, "kinds": ("words",), "lora_rank": 0, "dim": 128, "width": 16, "encoder": "shape-tile-cnn", "batch_size": 256, "types": "group",
    "validation_share": 0.0, "validation_steps": 0, "learning_rate": 2e-3,
}  # fmt: skip
OURS, FOUNDING, CHOSEN = "default", "founding", "chosen by validation"
RIDGE, CHANCE = "coverage and counts, ridge to texts", "chance"
MIN_POOL, BLOCK_M = 11, 1_000.0
DEFAULT = Setting(Where2VecConfig.alpha, 0.3)
OBJECTIVES: dict[str, Setting | None] = {OURS: DEFAULT, FOUNDING: None}
FOUNDING_OPTIONS: dict[str, Any] = {
    "objective": "founding", "temperature": 0.07, "learn_temperature": False, "alpha": 0.5, "semantic_weight": 0.3
}  # fmt: skip


# --- data --------------------------------------------------------------------------------------------------


def prepared(out: Path) -> list[Dataset]:
    """Every extract as a dataset of at most `PLACES_PER_CITY` entities of the groups asked about, largest first."""
    found = []
    for extract in sorted((folder() / "osm").glob("*.osm.pbf")):
        name = extract.name.removesuffix(".osm.pbf")
        whole, few = out / "data" / name, out / "capped" / name
        if not few.exists():
            api.prepare("where2vec", osm=extract, map=True, out=whole)
            _cap(whole, few)
        found.append(Dataset.open(few))
    return sorted(found, key=lambda dataset: (-used(dataset), dataset.name))


def _cap(whole: Path, few: Path) -> None:
    """A copy of a dataset in which only some places have texts, words of what lies around: others are used by nothing."""
    table = pq.read_table(whole / "entities.parquet", columns=["entity_id", "type"])
    types = np.array(table["type"].to_pylist(), object)
    asked = np.array([kind.split("/")[0] in GROUPS and kind not in DRAWN_ELSEWHERE for kind in types])
    rows = np.random.default_rng(7).permutation(np.flatnonzero(asked))[:PLACES_PER_CITY]
    kept = table["entity_id"].take(pa.array(np.sort(rows)))
    temporary = few.with_name(f".{few.name}")
    shutil.copytree(whole, temporary, dirs_exist_ok=True)
    texts = pq.read_table(temporary / "text.parquet")
    wanted = pc.and_(pc.is_in(texts["place_id"], value_set=kept), _around(texts))
    pq.write_table(texts.filter(wanted), temporary / "text.parquet")
    temporary.rename(few)


def _around(texts: pa.Table) -> pa.ChunkedArray:
    """Whether a text is words of what lies around a place, not of the entity itself."""
    return pc.and_(pc.equal(texts["kind"], "words"), pc.is_null(texts["entity_id"]))


def used(dataset: Dataset) -> int:
    """Places that have texts."""
    return int((np.asarray(dataset.view("text").counts) > 0).sum())  # type: ignore[attr-defined]


# --- training ----------------------------------------------------------------------------------------------


@contextmanager
def remembered(file: Path) -> Iterator[dict[str, torch.Tensor]]:
    """Vectors of the frozen text model by text, shared by all trainings and kept on disk."""
    from placevec.encoders.text import TextEncoder

    kept: dict[str, torch.Tensor] = {}
    if file.exists():
        with np.load(file) as stored:
            kept.update(zip(stored["texts"].tolist(), torch.from_numpy(stored["means"]), strict=True))
    before, original = len(kept), TextEncoder._means_of

    def means_of(self: TextEncoder, texts: list[str]) -> torch.Tensor:
        self._means = kept
        return original(self, texts)

    TextEncoder._means_of = means_of  # type: ignore[method-assign]
    try:
        yield kept
    finally:
        TextEncoder._means_of = original  # type: ignore[method-assign]
        if len(kept) > before:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(file) as temporary, temporary.open("wb") as opened:
                np.savez(opened, texts=np.array(list(kept)), means=torch.stack(list(kept.values())).numpy())


def trained(run: Path, setting: Setting | None, datasets: Sequence[Dataset], seed: int, steps: int) -> Model:
    """The model of a setting of the default objective (None: of the founding one), trained on some cities."""
    if (run / "done").exists():
        return Model.load(run)
    began = time.process_time()
    options = FOUNDING_OPTIONS if setting is None else {"objective": "log", **vars(setting)}
    model = api.train(
        "where2vec", list(datasets), out=run, force=True, epochs=4, steps_per_epoch=steps // 4, seed=seed,
        **{**SHARED, **options},
    )  # fmt: skip
    print(
        f"{run.parent.name}, {run.name}: {steps} steps, {time.process_time() - began:.0f} s of processor time",
        flush=True,
    )
    (run / "done").touch()
    return model


# --- questions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """n places of all cities, city after city.

    Attributes:
        rows: (n,) in their dataset.
        city: (n,) number of the dataset.
        groups: (n,) position in ``group_names``.
        types: (n,) position in ``type_names``, -1 of types that are too rare.
        group_names: such as shop: the types that models are trained with.
        type_names: such as bakery: never named in training but where a text does.
        lonlat: (n, 2) degrees.
        words: (n,) what lies around each.
    """

    rows: Ints
    city: Ints
    groups: Ints
    types: Ints
    group_names: tuple[str, ...]
    type_names: tuple[str, ...]
    lonlat: Floats
    words: list[str]

    @property
    def pool(self) -> Ints:
        """(n,) places of one group in one city."""
        both = np.stack([self.city, self.groups], axis=1)
        return np.asarray(np.unique(both, axis=0, return_inverse=True)[1]).reshape(-1)

    def of(self, cities: Sequence[int]) -> Asked:
        """Of some cities."""
        kept = np.flatnonzero(np.isin(self.city, cities))
        return Asked(
            self.rows[kept], self.city[kept], self.groups[kept], self.types[kept], self.group_names, self.type_names,
            self.lonlat[kept], [self.words[row] for row in kept],
        )  # fmt: skip


def asked(datasets: Sequence[Dataset]) -> Asked:
    """Places with words of what lies around, of groups and types that `MIN_CITIES` cities have."""
    rows, city, groups, leaves, words, lonlat = [], [], [], [], [], []
    for number, dataset in enumerate(datasets):
        group, leaf = (types_of(dataset, "text", level) for level in ("group", "leaf"))
        for row, text in sorted(around_of(dataset).items()):
            rows.append(row)
            city.append(number)
            groups.append(group.names[group.codes[row]])
            leaves.append(leaf.names[leaf.codes[row]])
            words.append(text)
            lonlat.append(dataset.lonlat[row])
    cities = np.array(city)
    group_names, group_codes = _common(np.array(groups), cities)
    type_names, codes = _common(np.array(leaves), cities)
    kept = np.flatnonzero(group_codes >= 0)
    return Asked(
        np.array(rows)[kept], cities[kept], group_codes[kept], codes[kept], group_names, type_names,
        np.array(lonlat)[kept], [words[row] for row in kept],
    )  # fmt: skip


def _common(names: np.ndarray[Any, Any], city: Ints) -> tuple[tuple[str, ...], Ints]:
    """(names of `MIN_PLACES` places, in three or more of each of `MIN_CITIES` cities; position of each, else -1)."""
    found = []
    for name in np.unique(names):
        held = np.bincount(city[names == name])
        if held.sum() >= MIN_PLACES and (held >= 3).sum() >= MIN_CITIES:
            found.append(str(name))
    return tuple(found), np.where(np.isin(names, found), np.searchsorted(found, names), -1)


def around_of(dataset: Dataset) -> dict[int, str]:
    """Row -> words of what lies around it."""
    texts = pq.read_table(dataset.path / "text.parquet")
    texts = texts.filter(_around(texts))
    at = {name: row for row, name in enumerate(dataset.place_ids)}
    return {
        at[place]: text
        for place, text in zip(texts["place_id"].to_pylist(), texts["text"].to_pylist(), strict=True)
    }


@dataclass(frozen=True)
class Vectors:
    """Of n places and of names in one space.

    Attributes:
        images: (n, D).
        words: (n, D) of what lies around each.
        groups: (G, D) of names of groups.
        types: (T, D) of names of types.
        scale: 1 / temperature between images and names.
    """

    images: Floats
    words: Floats
    groups: Floats
    types: Floats
    scale: float

    def named(self, questions: Asked) -> tuple[Floats, Floats]:
        """(n,) 1 where the nearest name is the place's own: of groups, of types."""
        hits = []
        for names, truth in ((self.groups, questions.groups), (self.types, questions.types)):
            hits.append(((unit(self.images) @ unit(names).T).argmax(axis=1) == truth).astype(np.float64))
        return hits[0], hits[1]

    def named_by_share(self, groups: Ints, shares: Floats) -> Floats:
        """(n,) 1 where the own group is the most probable one, a priori as frequent as its (G,) share in training.

        Similarities that are trained against all names of a batch say by how much an image makes a group more probable
        than it is anyway; Bayes' rule then adds the logarithm of the share.
        """
        logits = self.scale * unit(self.images) @ unit(self.groups).T + np.log(shares)
        return (logits.argmax(axis=1) == groups).astype(np.float64)


def vectors_of(model: Model, datasets: Sequence[Dataset], questions: Asked) -> Vectors:
    """The vectors of a model."""
    parts = [
        model.vectors(datasets[city], questions.rows[questions.city == city], view="map")
        for city in np.unique(questions.city)
    ]
    words, _ = embed_texts(model, questions.words)
    groups, types = (
        type_vectors(model, names, view="map") for names in (questions.group_names, questions.type_names)
    )
    return Vectors(np.concatenate(parts), words, groups, types, 1.0 / temperature_of(model))


@dataclass(frozen=True)
class Answers:
    """Of n places, one set a seed.

    Attributes:
        groups: whether the nearest group is the own one.
        by_share: the same where shares of groups in training count.
        types: of the type.
        found: ranks within the group and city.
    """

    groups: list[Floats]
    by_share: list[Floats]
    types: list[Floats]
    found: list[Found]


# --- what needs no encoder ---------------------------------------------------------------------------------


def shares_and_counts(dataset: Dataset, rows: Ints) -> Floats:
    """(n, 2 C) share of the window that each seen layer covers, and how many separate things it shows there."""
    import cv2

    spec = dataset.spec("map")
    seen = tuple(name for name in spec.channels if name not in DROPPED)
    view = dataset.view("map").window(size_px=128, size_m=WINDOW["size_m"], channels=seen)  # type: ignore[attr-defined]
    found = []
    for start in range(0, len(rows), 256):
        some = rows[start : start + 256]
        pixels = view.read(Look(torch.from_numpy(some), torch.from_numpy(dataset.lonlat[some]))).numpy()
        things = [
            [cv2.connectedComponents((layer > 127).astype(np.uint8))[0] - 1 for layer in place]
            for place in pixels
        ]
        found.append(np.hstack([pixels.mean(axis=(2, 3)) / 255.0, np.log1p(np.array(things, np.float64))]))
    return np.concatenate(found)


def frozen(texts: Sequence[str], kept: dict[str, torch.Tensor]) -> Floats:
    """(n, 384) vectors of the frozen text model, of length 1."""
    from placevec.encoders.text import TextEncoder

    encoder = TextEncoder(rank=0, dim=8)
    encoder._means = kept
    return unit(np.concatenate([encoder._means_of(list(part)).numpy() for part in _parts(texts)]))


def _parts(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + 512] for start in range(0, len(texts), 512)]


def named(names: Sequence[str], kept: dict[str, torch.Tensor]) -> Floats:
    """(T, 384) of types by the same sentences as models are asked with."""
    prompts = prompts_for(ViewSpec("map", "raster"))
    texts = [prompt.replace("{}", words_of_type(name)) for name in names for prompt in prompts]
    return unit(frozen(texts, kept).reshape(len(names), len(prompts), -1).mean(axis=1))


def ridge(features: Floats, questions: Asked, test: Floats, kept: dict[str, torch.Tensor]) -> Answers:
    """Images mapped into the frozen text space by ridge regression, for each question with targets of its own.

    Trained on the places asked about of other folds; the penalty is chosen with whole cities left out. ``test`` (n,) is
    the fold of each place.
    """
    around, groups, types = (
        frozen(questions.words, kept), named(questions.group_names, kept), named(questions.type_names, kept)
    )  # fmt: skip
    common = np.flatnonzero(questions.types >= 0)
    found_words, found_groups, found_types = (np.zeros_like(around) for _ in range(3))
    shifted, nearest = np.zeros_like(around), np.zeros((2, len(test)))
    for fold in np.unique(test):
        asked_now = np.flatnonzero(test == fold)
        for target, rows, into in (
            (around, np.arange(len(test)), found_words), (groups[questions.groups], np.arange(len(test)), found_groups),
            (types[questions.types], common, found_types),
        ):  # fmt: skip
            train = rows[test[rows] != fold]
            middle = target[train].mean(axis=0)
            parts = inner_parts(questions.city[train], np.random.default_rng(0))
            into[asked_now], _ = predicted([features], target - middle, train, parts, asked_now, "regression")
            if into is found_words:
                shifted[asked_now] = around[asked_now] - middle
            else:
                which = 0 if into is found_groups else 1
                names = groups if which == 0 else types
                nearest[which, asked_now] = (unit(into[asked_now]) @ unit(names - middle).T).argmax(axis=1)
    hits = nearest == np.stack([questions.groups, questions.types])
    group_hits = [hits[0].astype(np.float64)]
    return Answers(
        group_hits,
        group_hits,
        [hits[1].astype(np.float64)],
        [found(shifted, found_words, questions.pool)],
    )


# --- results -----------------------------------------------------------------------------------------------


def choices(out: Path, datasets: Sequence[Dataset], folds: int, steps: int) -> list[Choice]:
    """The setting of each fold, chosen on some of its training cities; those of the test are not even read."""
    found = []
    for fold in range(folds):
        numbers = [number for number in range(len(datasets)) if number % folds != fold]
        training = [datasets[number] for number in numbers]
        held = [numbers.index(number) for number in held_out(numbers, fold)]
        run = out / "choice" / f"fold{fold}-of-{folds}-{steps}"
        score = partial(_on_validation, run, training, held, asked(training), steps)
        cities = [training[number].name for number in held]
        found.append(tried(run.with_suffix(".json"), cities, CANDIDATES, score))
    return found


def _on_validation(
    run: Path,
    training: Sequence[Dataset],
    held: Sequence[int],
    questions: Asked,
    steps: int,
    setting: Setting,
) -> tuple[float, float]:
    """Macro recall of groups and R@10 within groups on the cities held out, of a model of the others."""
    others = [dataset for number, dataset in enumerate(training) if number not in held]
    model = trained(run / setting.folder, setting, others, 0, steps)
    some = questions.of(held)
    made = vectors_of(model, training, some)
    groups, _ = made.named(some)
    answer = found(made.words, made.images, some.pool)
    one = np.zeros(len(groups), np.int64)
    macro = float(macro_recall(groups, some.groups, one, np.ones((1, 1)))[0])
    return macro, float(answer.within(10)[answer.candidates >= MIN_POOL].mean())


def answered(
    out: Path,
    datasets: Sequence[Dataset],
    settings: Mapping[str, Sequence[Setting | None]],
    seeds: int,
    steps: int,
) -> tuple[Asked, dict[str, Answers]]:
    """Every row's answers about all cities, each by a model that has not seen it.

    ``settings`` has for each row the setting of each fold.
    """
    folds = len(settings[OURS])
    questions = asked(datasets)
    fold = questions.city % folds
    rows: dict[str, Answers] = {}
    with remembered(out / "means.npz") as kept:
        for name, by_fold in settings.items():
            each = [_by_folds(out, datasets, questions, by_fold, seed, steps) for seed in range(seeds)]
            rows[name] = Answers(*(list(values) for values in zip(*each, strict=True)))
        features = np.concatenate([
            shares_and_counts(datasets[city], questions.rows[questions.city == city])
            for city in np.unique(questions.city)
        ])  # fmt: skip
        rows[RIDGE] = ridge(features, questions, fold, kept)
    count = len(questions.rows)
    largest = np.array([shares_of(questions, fold != one).argmax() for one in range(folds)])[fold]
    rows[CHANCE] = Answers(
        [np.full(count, 1.0 / len(questions.group_names))], [(largest == questions.groups).astype(np.float64)],
        [np.full(count, 1.0 / len(questions.type_names))], [by_chance(questions.pool)],
    )  # fmt: skip
    return questions, rows


def _by_folds(
    out: Path,
    datasets: Sequence[Dataset],
    questions: Asked,
    settings: Sequence[Setting | None],
    seed: int,
    steps: int,
) -> tuple[Floats, Floats, Floats, Found]:
    """Of one seed, what `Answers` has."""
    folds = len(settings)
    where = questions.city % folds
    groups, by_share, types, nearer, equal, candidates = (np.zeros(len(where)) for _ in range(6))
    for fold, setting in enumerate(settings):
        name = FOUNDING if setting is None else setting.folder
        run = out / "runs" / name / f"fold{fold}-of-{folds}-seed{seed}-{steps}"
        others = [one for number, one in enumerate(datasets) if number % folds != fold]
        model = trained(run, setting, others, seed, steps)
        some = questions.of([number for number in range(len(datasets)) if number % folds == fold])
        file = run / "vectors.npz"
        if not file.exists():
            with atomic.replacing(file) as temporary, temporary.open("wb") as opened:
                np.savez(opened, **vars(vectors_of(model, datasets, some)))
        with np.load(file) as stored:
            made = Vectors(**stored)
        rows = where == fold
        groups[rows], types[rows] = made.named(some)
        by_share[rows] = made.named_by_share(some.groups, shares_of(questions, ~rows))
        answer = found(made.words, made.images, some.pool)
        nearer[rows], equal[rows], candidates[rows] = answer.nearer, answer.equal, answer.candidates
    return groups, by_share, types, Found(nearer, equal, candidates)


def shares_of(questions: Asked, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """(G,) share of each group among some places."""
    return np.bincount(questions.groups[rows], minlength=len(questions.group_names)) / rows.sum()


def table(questions: Asked, rows: Mapping[str, Answers], seeds: int) -> list[str]:
    """Markdown of all questions: scores with intervals over blocks of 1 km and seeds, and paired differences."""
    size = rows[CHANCE].found[0].candidates
    places, common = np.flatnonzero(size >= MIN_POOL), np.flatnonzero(questions.types >= 0)
    every = np.arange(len(questions.rows))
    lines = [
        f"{len(every):,} places of {len(questions.group_names)} groups in {len(np.unique(questions.city))} extracts; "
        f"{len(common):,} of {len(questions.type_names)} common types; {len(places):,} in pools of at least {MIN_POOL} "
        f"places of one group in one extract (mean size {size[places].mean():.0f}); {seeds} seeds.", "",
    ]  # fmt: skip
    for title, chosen, values, truth in (
        ("group by name, macro recall", every, lambda one: one.groups, questions.groups),
        ("group by name, top-1", every, lambda one: one.groups, None),
        ("the same with shares of groups in training (chance: always the largest)", every, lambda one: one.by_share, None),
        ("type by name (never named in training), macro recall", common, lambda one: one.types, questions.types),
        ("text to map within a group, R@1", places, lambda one: [each.within(1) for each in one.found], None),
        ("text to map within a group, R@10", places, lambda one: [each.within(10) for each in one.found], None),
    ):  # fmt: skip
        measure = None if truth is None else partial(_macro, truth)
        lines += _scored(
            questions, chosen, {name: values(one) for name, one in rows.items()}, title, measure, seeds
        )
    return lines


def _macro(types: Ints, values: Floats, rows: Ints, block: Ints, weights: Floats) -> Floats:
    return macro_recall(values, types[rows], block, weights)


def _scored(
    questions: Asked, places: Ints, values: Mapping[str, list[Floats]], title: str, macro: Any, seeds: int
) -> list[str]:
    lonlat = questions.lonlat[places]
    where = np.column_stack([questions.city[places], spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M)])
    block = np.unique(where, axis=0, return_inverse=True)[1].reshape(-1)
    over = Resampling(block, draws=1_000, seeds=seeds, lonlat=lonlat, side_m=BLOCK_M)
    scores = {}
    for name, sets in values.items():
        several = [one[places] for one in (sets if len(sets) == seeds else sets * seeds)]
        measures = [
            partial(weighted_mean, one, over.block)
            if macro is None
            else partial(macro, one, places, over.block)
            for one in several
        ]
        scores[name] = over.score(measures, len(places), "logit", -np.mean(several, axis=0))
    found = compare(scores, [(OURS, name) for name in scores if name != OURS], lonlat=lonlat, side_m=BLOCK_M)
    lines = [f"### {title}", "", f"{over.count} blocks of {BLOCK_M:g} m.", ""]
    lines += ["| row | score | 95 % interval | by seed |", "| --- | --- | --- | --- |"]
    for name, score in scores.items():
        by_seed = ", ".join(f"{one:.3f}" for one in score.by_seed)
        lines.append(f"| {name} | {score.value:.3f} | {score.low:.3f} to {score.high:.3f} | {by_seed} |")
    lines += [
        "",
        "| difference | mean | 95 % interval | p (Holm) | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for item in found:
        low, high = item.difference.low, item.difference.high
        lines.append(
            f"| {item.of} - {item.against} | {item.difference.value:+.3f} | {low:+.3f} to {high:+.3f} | {item.p:.3f} |"
            f" {item.claim} |"
        )
    return [*lines, *(f"- {item.of} - {item.against}: {item.doubt}" for item in found if item.doubt), ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--objective", action="append", choices=OBJECTIVES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    datasets = prepared(arguments.out)
    objectives = list(dict.fromkeys([OURS, *(arguments.objective or OBJECTIVES)]))
    settings = {name: [OBJECTIVES[name]] * arguments.folds for name in objectives}
    lines = []
    if arguments.choose:
        with remembered(arguments.out / "means.npz"):
            found = choices(arguments.out, datasets, arguments.folds, arguments.steps)
        settings[CHOSEN] = [choice.setting for choice in found]
        lines = described(found)
    questions, rows = answered(arguments.out, datasets, settings, arguments.seeds, arguments.steps)
    text = "\n".join([*table(questions, rows, arguments.seeds), *lines])
    (arguments.out / f"quality-{arguments.steps}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
