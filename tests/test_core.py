"""Six systems in miniature through the one training step of core.py, with no special case for any of them.

Each has a learnable toy signal; the oracle is that its loss falls well below where it started on batches that are
only measured, and that what a slot does not know (``ROW_MISSING``) has no influence whatever. Objectives that the
product does not have yet are written out here, small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec import geo
from placevec.core import (
    ROW_MISSING,
    ROW_SYNTHETIC,
    Batch,
    Draw,
    Encoded,
    Fuse,
    Look,
    Objective,
    Ragged,
    Recipe,
    Sampler,
    Slot,
    View,
    ViewSpec,
    encode,
)
from placevec.encoders.tile_cnn import CompactTileCNN
from placevec.training.objectives import InfoNCE, TripletLoss
from placevec.training.samplers import NearFarSampler, PairSampler

# --- the one loop ------------------------------------------------------------------------------------------


@dataclass
class System:
    """A recipe, the views that its slots read, and a learning rate for the toy."""

    recipe: Recipe
    views: Mapping[str, View]
    learning_rate: float = 1e-2


def total_loss(system: System, draw: Draw) -> Tensor:
    """Draw -> read -> encode -> weighted objectives, as in core.py."""
    recipe = system.recipe
    batches = {slot: system.views[recipe.slots[slot].view].read(look) for slot, look in draw.looks.items()}
    encoded = encode(recipe, batches, draw.looks)
    parts = [weight * objective(encoded, draw.targets) for weight, objective in recipe.objectives.values()]
    return torch.stack(parts).sum()


def modules(recipe: Recipe) -> nn.ModuleList:
    """All that is trained: encoders, and objectives, which may own parameters."""
    return nn.ModuleList(
        [*recipe.encoders.values(), *(objective for _, objective in recipe.objectives.values())]
    )


def measured(system: System, steps: range = range(1000, 1004)) -> float:
    """Mean loss over batches that are not trained on."""
    with torch.no_grad():
        return float(
            torch.stack([total_loss(system, system.recipe.sampler.draw(step)) for step in steps]).mean()
        )


def train(system: System, steps: int) -> tuple[float, float]:
    """(loss before, loss after) the same steps for every system."""
    trained = modules(system.recipe)
    optimizer = torch.optim.Adam(trained.parameters(), lr=system.learning_rate)
    before = measured(system)
    for step in range(steps):
        loss = total_loss(system, system.recipe.sampler.draw(step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return before, measured(system)


# --- toy views ---------------------------------------------------------------------------------------------


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def known(look: Look) -> tuple[Tensor, Tensor]:
    """(rows to read, (N,) bool which of them exist): missing rows come as zeros, as core.View says."""
    return look.rows.clamp(min=0), look.rows != ROW_MISSING


class Field:
    """A raster view: land changes smoothly along the longitude and shows as the density of two layers."""

    spec = ViewSpec(
        name="map", kind="raster", channels=("dots", "blank"), values="coverage 0..255", size_px=16
    )

    def read(self, look: Look) -> Batch:
        assert look.lonlat is not None
        density = 0.5 + 0.4 * torch.sin((look.lonlat[:, 0] - 24.9) * 300)
        grain = torch.rand(
            len(look), 2, 16, 16, generator=torch.Generator().manual_seed(int(look.rows.sum()) + 9)
        )
        tiles = (grain < density[:, None, None, None]).to(torch.uint8) * 255
        tiles = tiles * known(look)[1][:, None, None, None]
        return tiles * look.warp["keep"][:, :, None, None] if "keep" in look.warp else tiles


@dataclass
class Table:
    """A record view of chips or ready features: one tensor a row, with noise that a look's angle picks."""

    spec: ViewSpec
    values: Tensor

    def read(self, look: Look) -> Batch:
        rows, exist = known(look)
        picked = self.values[rows]
        if "angle" in look.warp:
            turn = look.warp["angle"].reshape(-1, *[1] * (picked.dim() - 1))
            picked = picked + 0.3 * torch.sin(
                turn * (1 + torch.arange(picked[0].numel()).reshape(picked[0].shape))
            )
        return picked * exist.reshape(-1, *[1] * (picked.dim() - 1))


@dataclass
class Words:
    """A text view: token numbers and their mask."""

    spec: ViewSpec
    tokens: Tensor

    def read(self, look: Look) -> Batch:
        rows, exist = known(look)
        mask = torch.ones_like(self.tokens[rows]) * exist[:, None]
        return {"input_ids": self.tokens[rows] * mask, "attention_mask": mask}


class Coordinates:
    """Bare coordinates, degrees."""

    spec = ViewSpec(name="coordinates", kind="coordinates", values="degrees")

    def read(self, look: Look) -> Batch:
        assert look.lonlat is not None
        return look.lonlat


@dataclass
class Categories:
    """A column of category numbers by row."""

    spec: ViewSpec
    column: Tensor

    def read(self, look: Look) -> Batch:
        rows, exist = known(look)
        return self.column[rows] * exist


class PoiSets:
    """Sets of different sizes: the number of POIs of each category depends on the kind of place."""

    spec = ViewSpec(name="pois", kind="pois", channels=("food", "shop", "park"))

    def __init__(self, kinds: Tensor) -> None:
        generator = torch.Generator().manual_seed(3)
        sizes = torch.randint(2, 7, (len(kinds),), generator=generator)
        self.sets = [
            torch.where(torch.rand(int(size), generator=generator) < 0.8, kind, kind // 4)
            for size, kind in zip(sizes, kinds, strict=True)
        ]

    def read(self, look: Look) -> Batch:
        rows, exist = known(look)
        empty = torch.zeros(0, dtype=torch.int64)
        sets = [
            self.sets[row] if here else empty for row, here in zip(rows.tolist(), exist.tolist(), strict=True)
        ]
        sizes = torch.tensor([0, *(len(members) for members in sets)])
        return Ragged(torch.cat(sets), sizes.cumsum(0))


# --- toy encoders ------------------------------------------------------------------------------------------


class Mlp(nn.Sequential):
    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(before, 32), nn.ReLU(), nn.Linear(32, after))


class Waves(nn.Module):
    """A location encoder: sines and cosines of longitude and latitude, then a layer."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.layer = nn.Linear(16, after)

    def forward(self, lonlat: Tensor) -> Tensor:
        angles = torch.deg2rad(lonlat)[:, :, None] * torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
        return self.layer(torch.cat([angles.sin(), angles.cos()], dim=2).flatten(1).float())  # type: ignore[no-any-return]


class BagOfWords(nn.Module):
    def __init__(self, vocabulary: int, after: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, after)

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        mask = tokens["attention_mask"][:, :, None]
        return (self.table(tokens["input_ids"]) * mask).sum(1) / mask.sum(1).clamp(min=1)  # type: ignore[no-any-return]


class SetMean(nn.Module):
    """Mean of the members' embeddings of each set; zeros for an empty one."""

    def __init__(self, categories: int, after: int) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(categories, after, mode="mean", include_last_offset=True)

    def forward(self, sets: Ragged) -> Tensor:
        return self.table(sets.values, sets.offsets)  # type: ignore[no-any-return]


# --- objectives that the product does not have yet ---------------------------------------------------------


class TypeAware(Objective):
    """Where2Vec: symmetric cross-entropy of cosines, logits of others of the same type weighted (1 - alpha)."""

    def __init__(self, words: str, alpha: float = 0.5, temperature: float = 0.2) -> None:
        super().__init__()
        self.words, self.alpha, self.temperature = words, alpha, temperature

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        image, words = slots["image"], slots[self.words]
        rows = torch.nonzero(image.present & words.present).squeeze(1)
        logits = F.normalize(image.z[rows]) @ F.normalize(words.z[rows]).T / self.temperature
        kind = targets["type"][rows]
        other = ~torch.eye(len(rows), dtype=torch.bool)
        logits = torch.where((kind[:, None] == kind) & other, (1 - self.alpha) * logits, logits)
        itself = torch.arange(len(rows))
        return (F.cross_entropy(logits, itself) + F.cross_entropy(logits.T, itself)) / 2


class PresenceOnly(Objective):
    """Mac Aodha et al. 2019: the observed species is likely here, and all are unlikely at a random point."""

    def __init__(self, dim: int, species: int) -> None:
        super().__init__()
        self.species = nn.Linear(dim, species, bias=False)  # parameters of the objective itself

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        here, anywhere = slots["point"], slots["background"]
        observed = F.logsigmoid(self.species(here.z).gather(1, targets["label"][:, None]))[here.present]
        absent = F.logsigmoid(-self.species(anywhere.z))[anywhere.present]
        return -observed.mean() - absent.mean()


class NtXent(Objective):
    """SimCLR over 2N vectors: every vector against all others, its partner is the right one."""

    def __init__(self, first: str, second: str, temperature: float = 0.5) -> None:
        super().__init__()
        self.first, self.second, self.temperature = first, second, temperature

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        first, second = slots[self.first], slots[self.second]
        rows = torch.nonzero(first.present & second.present).squeeze(1)
        both = F.normalize(torch.cat([first.z[rows], second.z[rows]]))
        logits = (both @ both.T / self.temperature).fill_diagonal_(-math.inf)
        return F.cross_entropy(logits, (torch.arange(len(both)) + len(rows)) % len(both))


class SkipGram(Objective):
    """Word2vec with negative sampling over POI walks, and a pull of categories of one parent together (LE)."""

    def __init__(self, negatives: int, pull: float) -> None:
        super().__init__()
        self.negatives, self.pull = negatives, pull

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        target, context, negative = slots["target"], slots["context"], slots["negative"]
        near = F.logsigmoid((target.z * context.z).sum(1))
        others = negative.z.reshape(len(target.z), self.negatives, -1)
        far = F.logsigmoid(-(target.z[:, None] * others).sum(2)).sum(1)
        same = (targets["parent"][:, None] == targets["parent"]).float()
        pulled = (same * torch.cdist(target.z, target.z).square()).mean()
        return -(near + far)[target.present & context.present].mean() + self.pull * pulled


# --- toy samplers around the product's own -----------------------------------------------------------------


@dataclass
class Turned:
    """Another sampler's looks, some of them disturbed by a random angle: two augmentations of one image."""

    sampler: PairSampler
    slots: tuple[str, ...]

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        draw = self.sampler.draw(step, rank, world)
        random = np.random.default_rng([7, step, rank])
        angles = {slot: random.random(len(draw.looks[slot]), np.float32) * 6.28 for slot in self.slots}
        looks = {
            slot: replace(look, warp={"angle": torch.from_numpy(angles[slot])}) if slot in angles else look
            for slot, look in draw.looks.items()
        }
        return Draw(looks, draw.targets)


@dataclass
class Extra:
    """Another sampler's draw and one more slot: random points of the Earth, or random rows."""

    sampler: PairSampler
    slot: str
    each: int = 1
    rows: int | None = None

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        draw = self.sampler.draw(step, rank, world)
        count = self.each * len(next(iter(draw.looks.values())))
        random = np.random.default_rng([8, step, rank])
        if self.rows is not None:
            look = Look(torch.from_numpy(random.integers(0, self.rows, count)))
        else:
            lat = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
            lonlat = np.stack([random.uniform(-180, 180, count), lat], axis=1)
            look = Look(torch.full((count,), ROW_SYNTHETIC), torch.from_numpy(lonlat))
        return Draw({**draw.looks, self.slot: look}, draw.targets)


# --- the six systems ---------------------------------------------------------------------------------------

PLACES = 48
KINDS = torch.arange(PLACES) % 3
UNKNOWN = np.arange(PLACES) % 8 == 5
"""Places that one slot of each record recipe knows nothing of."""


def globe() -> np.ndarray:
    """(PLACES, 2) lon, lat; kind 0 in the east, 1 in the south-west, 2 in the north-west."""
    random = np.random.default_rng(0)
    kind = KINDS.numpy()
    lon = np.where(kind == 0, 90, -90) + random.uniform(-60, 60, PLACES)
    lat = np.where(kind == 0, 0, np.where(kind == 1, -40, 40)) + random.uniform(-20, 20, PLACES)
    return np.stack([lon, lat], axis=1)


def loc2vec(objective: Objective) -> System:
    count, random = 200, np.random.default_rng(1)
    lonlat = geo.offset(
        np.full(count, 24.9), np.full(count, 60.2),
        east_m=random.uniform(-800, 800, count), north_m=random.uniform(-800, 800, count),
    )  # fmt: skip
    negatives = isinstance(objective, TripletLoss)
    sampler = NearFarSampler(
        lonlat, batch_size=24, seed=0, near_m=30, far_m=250, negatives=negatives,
        rotate=True, drop_channels=0.2, channels=2,
    )  # fmt: skip
    slots = ["anchor", "positive", *(["negative"] if negatives else [])]
    return System(
        Recipe(
            slots={name: Slot("map", "tile") for name in slots},
            encoders={"tile": CompactTileCNN(channels=2, dim=8, width=8)},
            objectives={"near": (1.0, objective)},
            sampler=sampler,
        ),
        {"map": Field()},
        learning_rate=3e-3,
    )


def where2vec() -> System:
    chips = noise(PLACES, 2, 6, 6, seed=1)
    tokens = torch.stack([torch.arange(PLACES), PLACES + KINDS], dim=1)
    sampler = PairSampler(
        range(PLACES), batch_size=24, seed=0,
        slots={"image": None, "words": ~UNKNOWN, "type_words": None}, targets={"type": KINDS},
    )  # fmt: skip
    return System(
        Recipe(
            slots={
                "image": Slot("satellite", "image"),
                "words": Slot("text", "text"),
                "type_words": Slot("type", "text"),
            },
            encoders={"image": Mlp(72, 8), "text": BagOfWords(PLACES + 3, 8)},
            objectives={"instance": (1.0, TypeAware("words")), "semantic": (0.3, TypeAware("type_words"))},
            sampler=sampler,
        ),
        {
            "satellite": Table(ViewSpec("satellite", "chips"), chips),
            "text": Words(ViewSpec("text", "text"), tokens),
            "type": Words(ViewSpec("type", "text"), tokens[:, 1:]),
        },
    )


def presence_only() -> System:
    pairs = PairSampler(
        range(PLACES),
        batch_size=24,
        seed=0,
        slots={"point": ~UNKNOWN},
        lonlat=globe(),
        targets={"label": KINDS},
    )
    return System(
        Recipe(
            slots={"point": Slot("coordinates", "location"), "background": Slot("coordinates", "location")},
            encoders={"location": Waves(16)},
            objectives={"presence": (1.0, PresenceOnly(16, 3))},
            sampler=Extra(pairs, "background", each=2),
        ),
        {"coordinates": Coordinates()},
    )


def csp() -> System:
    features = F.one_hot(KINDS, 3).float().repeat(1, 4) + 0.2 * noise(PLACES, 12, seed=2)
    sampler = PairSampler(
        range(PLACES), batch_size=24, seed=0, slots={"point": None, "image": ~UNKNOWN}, lonlat=globe()
    )
    return System(
        Recipe(
            slots={"point": Slot("coordinates", "location"), "image": Slot("features", "image")},
            encoders={"location": Waves(8), "image": nn.Linear(12, 8)},
            objectives={"csp": (1.0, InfoNCE("point", "image", temperature=0.2, learnable=True))},
            sampler=sampler,
        ),
        {"coordinates": Coordinates(), "features": Table(ViewSpec("features", "chips"), features)},
    )


def mmgr() -> System:
    images = F.one_hot(KINDS, 3).float()[:, :, None, None] + 0.5 * noise(PLACES, 3, 4, 4, seed=4)
    pairs = PairSampler(
        range(PLACES), batch_size=16, seed=0, slots={"image_a": None, "image_b": None, "pois": ~UNKNOWN}
    )
    return System(
        Recipe(
            slots={
                "image_a": Slot("aerial", "image"),
                "image_b": Slot("aerial", "image"),
                "pois": Slot("pois", "pois"),
            },
            encoders={"image": Mlp(48, 8), "pois": SetMean(3, 8)},
            objectives={
                "intra": (0.5, NtXent("image_a", "image_b")),
                "inter": (0.5, NtXent("image_a", "pois")),
            },
            sampler=Turned(pairs, ("image_a", "image_b")),
        ),
        {"aerial": Table(ViewSpec("aerial", "raster"), images), "pois": PoiSets(KINDS)},
    )


def poi2vec() -> System:
    """Rows are steps of walks: a category and another that comes near it; parents 0-2, 3-5, 6-8 keep together."""
    random = np.random.default_rng(6)
    target = random.integers(0, 9, 300)
    context = target // 3 * 3 + random.integers(0, 3, 300)
    columns = {"target": torch.from_numpy(target), "context": torch.from_numpy(context)}
    columns["any"] = torch.arange(9)
    pairs = PairSampler(
        range(300), batch_size=60, seed=0,
        slots={"target": None, "context": np.arange(300) % 8 != 5}, targets={"parent": target // 3},
    )  # fmt: skip
    return System(
        Recipe(
            slots={
                "target": Slot("target", "target"),
                "context": Slot("context", "context"),
                "negative": Slot("any", "context"),
            },
            encoders={"target": nn.Embedding(9, 8), "context": nn.Embedding(9, 8)},
            objectives={"walks": (1.0, SkipGram(5, 0.01))},
            sampler=Extra(pairs, "negative", each=5, rows=9),
        ),
        {name: Categories(ViewSpec(name, "categories"), column) for name, column in columns.items()},
    )


SYSTEMS: dict[str, tuple[Callable[[], System], int, float]] = {
    "loc2vec, triplet": (lambda: loc2vec(TripletLoss(margin=0.5, swap=True)), 60, 0.5),
    "loc2vec, InfoNCE": (lambda: loc2vec(InfoNCE(exclusion_m=60)), 60, math.log(24)),
    "where2vec": (where2vec, 40, 1.3 * math.log(15)),
    "presence-only": (presence_only, 40, 2 * math.log(2)),
    "csp": (csp, 50, math.log(21)),
    "mmgr": (mmgr, 40, 0.5 * math.log(31) + 0.5 * math.log(27)),
    "poi2vec": (poi2vec, 120, math.log(6) + 5 * math.log(6 / 5)),
}
"""name -> (system, steps, the loss of knowing nothing: all vectors equal, at the best level for that)"""


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_learns_in_the_one_loop(name: str) -> None:
    """Oracle: closed form: 10 % below what collapsed vectors reach, so falling into collapse is not learning."""
    torch.manual_seed(0)
    make, steps, ignorant = SYSTEMS[name]
    before, after = train(make(), steps)
    assert after < 0.8 * before
    assert after < 0.9 * ignorant


@pytest.mark.parametrize("name", ["where2vec", "presence-only", "csp", "mmgr", "poi2vec"])
def test_missing_rows_have_no_influence(name: str) -> None:
    """Oracle: the loss and every gradient stay bit for bit when whatever missing rows encode to is disturbed."""
    torch.manual_seed(0)
    system = SYSTEMS[name][0]()
    draw = system.recipe.sampler.draw(0)
    assert any((look.rows == ROW_MISSING).any() for look in draw.looks.values())

    def gradients(disturbance: float) -> list[Tensor]:
        recipe = system.recipe
        trained = modules(recipe)
        trained.zero_grad()
        batches = {
            slot: system.views[recipe.slots[slot].view].read(look) for slot, look in draw.looks.items()
        }
        encoded = {
            slot: replace(part, z=torch.where(part.present[:, None], part.z, part.z + disturbance))
            for slot, part in encode(recipe, batches, draw.looks).items()
        }
        loss = torch.stack([w * term(encoded, draw.targets) for w, term in recipe.objectives.values()]).sum()
        loss.backward()
        return [
            loss.detach(),
            *(weight.grad.clone() for weight in trained.parameters() if weight.grad is not None),
        ]

    still, disturbed = gradients(0.0), gradients(100.0)
    assert len(still) == len(disturbed) > 1
    assert all(torch.equal(a, b) for a, b in zip(still, disturbed, strict=True))


def test_missing_is_not_synthetic() -> None:
    """A point that is no place of the dataset is present; only ROW_MISSING is not."""
    recipe = loc2vec(InfoNCE()).recipe
    look = Look(torch.tensor([3, ROW_SYNTHETIC, ROW_MISSING]), torch.full((3, 2), 24.9, dtype=torch.float64))
    encoded = encode(recipe, {"anchor": Field().read(look)}, {"anchor": look})["anchor"]
    assert encoded.present.tolist() == [True, True, False]


# --- encode ------------------------------------------------------------------------------------------------


class Counting(nn.Module):
    """Returns the mean of each row, and remembers how many rows each call brought."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.calls.append(len(batch))
        return batch.flatten(1).mean(1, keepdim=True).double()


def encoding(
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[dict[str, Encoded], dict[str, Tensor], list[int]]:
    counting = Counting()
    sampler: Sampler = PairSampler([0], batch_size=1, seed=0, slots=list(shapes))
    recipe = Recipe({name: Slot("view", "shared") for name in shapes}, {"shared": counting}, {}, sampler)
    batches = {name: noise(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    looks = {name: Look(torch.zeros(shape[0], dtype=torch.int64)) for name, shape in shapes.items()}
    return encode(recipe, batches, looks), batches, counting.calls


def test_slots_of_one_encoder_and_shape_go_through_together() -> None:
    """Oracle: each slot's own mean; slots may differ in length."""
    encoded, batches, calls = encoding({"a": (3, 4), "b": (5, 4), "other": (2, 7)})
    assert sorted(calls) == [2, 8]
    for name, batch in batches.items():
        torch.testing.assert_close(encoded[name].z, batch.mean(1, keepdim=True), rtol=1e-6, atol=1e-6)
        assert encoded[name].z.dtype == torch.float32
        assert encoded[name].present.tolist() == [True] * len(batch)


def test_an_empty_slot_encodes_to_nothing() -> None:
    encoded, _, _ = encoding({"a": (0, 4), "b": (5, 4)})
    assert encoded["a"].z.shape == (0, 1)
    assert encoded["b"].z.shape == (5, 1)


# --- specs and abstract roles ------------------------------------------------------------------------------


def test_a_spec_survives_json_and_its_hash_distinguishes_specs() -> None:
    spec = ViewSpec(
        name="map", kind="raster", channels=("roads", "water"), size_px=128, size_m=200.0, zoom=17
    )
    assert ViewSpec.from_dict(spec.as_dict()) == spec
    assert ViewSpec.from_dict(spec.as_dict()).hash == spec.hash
    changed = [{"channels": ("water", "roads")}, {"size_m": 201.0}, {"rules": "x"}, {"zoom": None}]
    assert len({spec.hash, *(replace(spec, **change).hash for change in changed)}) == 5  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ViewSpec.from_dict({**spec.as_dict(), "unknown": 1})


@pytest.mark.parametrize("call", [lambda: Objective()({}, {}), lambda: Fuse()({})])
def test_abstract_roles_say_what_to_define(call: Any) -> None:
    with pytest.raises(NotImplementedError, match="must define forward"):
        call()
