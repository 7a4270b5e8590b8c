"""The objective of MMGR.

Oracles: losses and gradients of the original code (``modules/nt_xent.py`` of the founding repository, run on three random
batches of eight and recorded), chance levels in closed form, and invariants.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.cells import CellContrast, nt_xent
from placevec.training.samplers.cells import IMAGES, POIS

RECORDED = np.load(Path(__file__).with_name("mmgr_original.npz"))
THERE = torch.ones(8, dtype=torch.bool)


def recorded(name: str) -> torch.Tensor:
    return torch.from_numpy(RECORDED[name])


def plain(form: str, **options: object) -> CellContrast:
    """An objective whose projection heads leave vectors as they are."""
    objective = CellContrast(16, 16, form=form, **options)  # type: ignore[arg-type]
    objective.image = objective.pois = nn.Identity()  # type: ignore[assignment]
    return objective


def slots(*, again: bool = False, **present: torch.Tensor) -> dict[str, Encoded]:
    names = dict(zip(IMAGES, ("image", "image_again"), strict=True)) | {POIS[0]: "pois"}
    if again:
        names[POIS[1]] = "pois"
    return {
        slot: Encoded(recorded(name).clone().requires_grad_(), present.get(slot, THERE))
        for slot, name in names.items()
    }


def test_losses_and_gradients_of_the_original() -> None:
    held = slots()
    loss = plain("founding")(held, {})
    loss.backward()
    assert float(loss) == pytest.approx(float(RECORDED["loss"]), abs=1e-6)
    intra = nt_xent(recorded("image"), recorded("image_again"), 2.0)
    assert float(intra) == pytest.approx(float(RECORDED["intra"]), abs=1e-6)
    for slot, name in (("image", "image_gradient"), ("pois", "pois_gradient")):
        torch.testing.assert_close(held[slot].z.grad, recorded(name), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("form", "chance"), [("founding", math.log(15)), ("separate", math.log(8))])
def test_equal_vectors_are_at_chance(form: str, chance: float) -> None:
    """Closed form: every other vector is as likely; both weights are 1/2."""
    same = {name: Encoded(torch.ones(8, 16), THERE) for name in (*IMAGES, POIS[0])}
    assert float(plain(form)(same, {})) == pytest.approx(chance, rel=1e-6)


@pytest.mark.parametrize("form", ["founding", "separate"])
def test_cells_that_lack_a_view_learn_from_the_other(form: str) -> None:
    """Without points, a cell changes the contrast of images only, and whatever its row of points holds is not read."""
    without = THERE.clone()
    without[3] = False
    held = slots(pois=without)
    held["pois"].z.data[3] = math.nan
    loss = plain(form)(held, {})
    loss.backward()
    assert math.isfinite(float(loss))
    assert float(held["image_again"].z.grad[3].norm()) > 0  # type: ignore[index]
    assert not held["pois"].z.grad[3].any()  # type: ignore[index]
    assert float(plain(form)(slots(pois=~THERE), {})) == pytest.approx(
        0.5 * float(plain(form, inter_weight=0.0, intra_weight=1.0)(slots(), {})), rel=1e-6
    )


def test_both_images_meet_the_points_in_the_corrected_form() -> None:
    founding, separate = slots(), slots()
    plain("founding", intra_weight=0.0)(founding, {}).backward()
    plain("separate", intra_weight=0.0)(separate, {}).backward()
    assert founding["image_again"].z.grad is None or not founding["image_again"].z.grad.any()
    assert separate["image_again"].z.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_swapping_the_two_images_changes_nothing() -> None:
    held = slots(again=True)
    swapped = {**held, IMAGES[0]: held[IMAGES[1]], IMAGES[1]: held[IMAGES[0]]}
    objective = plain("separate", poi_weight=0.3)
    assert float(objective(held, {})) == pytest.approx(float(objective(swapped, {})), rel=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="unknown form 'other'"):
        CellContrast(4, 4, form="other")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the temperature must be at least"):
        CellContrast(4, 4, temperature=0.0)
