"""Every sampler over some of the places: those at the ends held out, tables of all places read at the right rows."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from placevec import geo
from placevec.core import Draw, Sampler
from placevec.errors import InputError
from placevec.training import samplers
from placevec.training.samplers import BoxSampler, NearFarSampler, PairSampler, TileSampler
from placevec.training.samplers.anchors import AnchorSampler
from placevec.training.samplers.background import Sphere
from placevec.training.samplers.cells import CellSampler
from placevec.training.samplers.described import Choices, DescribedSampler
from placevec.training.samplers.image_pairs import ImagePairs
from placevec.training.samplers.labeled import LabeledSampler

COUNT = 300
LONLAT = geo.tile_xy_to_lonlat(
    np.stack(np.divmod(np.arange(COUNT), 20), axis=1)[:, ::-1] + (76_500.5, 44_100.5), 17
)
"""300 places at z17, as the founding system has them: 20 tiles wide, 15 high."""
WEST, SOUTH, EAST, NORTH = (*LONLAT.min(axis=0) - 0.001, *LONLAT.max(axis=0) + 0.001)
OWN_BOXES = np.tile([WEST, SOUTH, EAST, NORTH], (COUNT, 1))
OWN_BOXES[:, 3] += np.arange(COUNT) * 1e-4  # each place has a box of its own
NUMBERS = np.arange(COUNT) * 10
KNOWN = np.arange(COUNT) % 3 > 0
COMMON: dict[str, Any] = {"batch_size": 32, "seed": 0}
ANCHORS: dict[str, Any] = {**COMMON, "targets": {"number": NUMBERS}}

MADE: dict[str, Callable[[np.ndarray], Sampler]] = {
    "AnchorSampler": lambda rows: AnchorSampler(LONLAT, rows=rows, **ANCHORS),
    **{
        f"NearFarSampler {kind}": lambda rows, kind=kind: NearFarSampler(  # type: ignore[misc]
            LONLAT, rows=rows, near_m=200, far_m=900, positives=kind, negatives=kind != "none", **ANCHORS
        )
        for kind in ("disc", "places", "none")
    },
    "TileSampler": lambda rows: TileSampler(LONLAT, rows=rows, zoom=17, near_tiles=2, far_tiles=7, **ANCHORS),
    **{
        f"BoxSampler {name}": lambda rows, boxes=boxes: BoxSampler(  # type: ignore[misc]
            LONLAT, rows=rows, boxes=boxes, near_degrees=0.001, far_degrees=0.01, **ANCHORS
        )
        for name, boxes in (("of one box", (WEST, SOUTH, EAST, NORTH)), ("of own boxes", OWN_BOXES))
    },
    "PairSampler": lambda rows: PairSampler(
        rows, slots={"a": None, "b": KNOWN}, lonlat=LONLAT, targets={"number": NUMBERS}, **COMMON
    ),
    "CellSampler": lambda rows: CellSampler(rows, KNOWN, ~KNOWN, lonlat=LONLAT, again=True, **COMMON),
    "LabeledSampler": lambda rows: LabeledSampler(rows, LONLAT, targets={"number": NUMBERS}, **COMMON),
    "LabeledSampler balanced": lambda rows: LabeledSampler(
        rows, LONLAT, targets={"number": NUMBERS}, background=Sphere(), classes=NUMBERS // 500, max_per_class=20,
        times=np.linspace(0, 1, COUNT), **COMMON,
    ),
    "DescribedSampler": lambda rows: DescribedSampler(
        rows, NUMBERS % 7, choices=Choices(np.arange(COUNT + 1), np.zeros(COUNT, np.int64)), lonlat=LONLAT, **COMMON
    ),
    "ImagePairs": lambda rows: ImagePairs(rows, LONLAT, background=Sphere(), negatives=2, **COMMON),
}  # fmt: skip
ROWS = {
    "the last held out": np.arange(COUNT - 1),
    "the first held out": np.arange(1, COUNT),
    "the last blocks held out": np.arange(COUNT - 40),
    "both ends held out": np.arange(7, COUNT - 9),
}


@pytest.mark.parametrize("held_out", ROWS)
@pytest.mark.parametrize("made", MADE)
def test_some_places_held_out(made: str, held_out: str) -> None:
    """Oracle: the tables themselves. Only given rows come, each with its own coordinates and its own target."""
    rows = ROWS[held_out]
    sampler = MADE[made](rows)
    seen: set[int] = set()
    for step in range(2 * sampler.steps_per_epoch):  # type: ignore[attr-defined]
        draw = sampler.draw(step, 0, 1)
        first = _of_places(draw)
        for look in draw.looks.values():
            drawn = look.rows.numpy()
            there = drawn[drawn >= 0]
            assert set(there.tolist()) <= set(rows.tolist())
            if look.lonlat is not None:
                np.testing.assert_array_equal(look.lonlat.numpy()[drawn >= 0], LONLAT[there])
        if "number" in draw.targets:
            np.testing.assert_array_equal(draw.targets["number"].numpy(), 10 * first)
        seen |= set(first.tolist())
    assert len(seen) > 0.4 * len(rows)


def _of_places(draw: Draw) -> np.ndarray:
    """Rows of the slot that holds every drawn place."""
    return next(
        draw.looks[slot] for slot in ("anchor", "point", "a", "image") if slot in draw.looks
    ).rows.numpy()


def test_every_sampler_there_is_was_tried() -> None:
    """Oracle: the modules of the package, looked through for classes that draw."""
    there = set()
    for module in pkgutil.iter_modules(samplers.__path__, f"{samplers.__name__}."):
        for name, found in inspect.getmembers(import_module(module.name), inspect.isclass):
            parameters = inspect.signature(found.draw).parameters if hasattr(found, "draw") else {}
            if found.__module__ == module.name and "step" in parameters:
                there.add(name)
    assert there - {"WalkSampler"} == {made.split()[0] for made in MADE}  # which draws categories, not places


@pytest.mark.parametrize("last", [0, 1])
def test_each_place_stays_in_its_own_box(last: int) -> None:
    """Invariant, with boxes that differ by place: positives and negatives lie in the box of their anchor's row."""
    narrow = np.tile([WEST, SOUTH, EAST, NORTH], (COUNT, 1))
    narrow[::2, 3] = LONLAT[::2, 1] + 1e-4  # nothing north of every other place
    rows = np.arange(COUNT - last)
    sampler = BoxSampler(LONLAT, rows=rows, boxes=narrow, near_degrees=0.001, far_degrees=0.005, **COMMON)
    for step in range(sampler.steps_per_epoch):
        looks = sampler.draw(step).looks
        mine = narrow[looks["anchor"].rows.numpy()]
        for slot in ("positive", "negative"):
            lonlat = looks[slot].lonlat
            assert lonlat is not None
            found = lonlat.numpy()
            assert (found >= mine[:, :2] - 1e-9).all()
            assert (found <= mine[:, 2:] + 1e-9).all()


@pytest.mark.parametrize("shape", [(COUNT - 1, 4), (COUNT + 1, 4), (3,), (COUNT,), (1, 4)])
def test_boxes_of_other_places_are_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"one per place, \({COUNT}, 4\)"):
        BoxSampler(LONLAT, boxes=np.zeros(shape), near_degrees=0.001, far_degrees=0.01, **COMMON)
