"""How far to believe a head: its training points and deviations are added to it after training, and then measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import read_split
from placevec.evaluation.bootstrap import Resampling, mean_of
from placevec.evaluation.point_baselines import linear_layer
from placevec.evaluation.splits import inner_parts
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.geo.blocks import block_side_m
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reliability import LEVEL, MIN_CALIBRATED, Vectors, fitted

MAX_FITTED = 20_000
"""Training places that deviations are computed from; of more a sample is drawn."""
_MAX_COMPARED = 5_000
_MAX_CLASSES = 200
_KEPT = (1.0, 0.9, 0.8, 0.5)
"""Shares of places that are kept when the least certain are rejected."""


@dataclass(frozen=True)
class _Places:
    """Rows of a dataset with what a model reads and should say there."""

    rows: Ints
    lonlat: Floats
    values: NDArray[Any]
    years: Floats | None


def add_reliability(model: Model, dataset: Dataset) -> list[str]:
    """Give the head of a trained run what it knows of its training points; notes, such as one that it learned nothing.

    Nothing happens to models without a head, or that read more than coordinates.
    """
    if not model.bare or len(model.heads) != 1 or len(model.readings) != 1:
        return []
    (head,) = model.heads.values()
    train, validation = _parts(model, dataset, head)
    if train is None:
        return []
    encoder = next(iter(model.modules.values()))
    scales = (
        [km for _, km in getattr(encoder.positional, "scales_km", tuple)() if math.isfinite(km)]
        if hasattr(encoder, "positional")
        else []
    )
    head.reliability = fitted(
        head, _vectors(model, head, train), None if validation is None else _vectors(model, head, validation),
        min(scales, default=math.inf),
    )  # fmt: skip
    if validation is None or len(validation.rows) < MIN_CALIBRATED:
        return []
    notes = []
    if head.kind == "number" and head.reliability.width and not head.reliability.calibrated:
        notes.append(
            f"90% bands are {head.reliability.uncalibrated}; where they must hold, validate in more blocks: smaller ones"
            " (--block-m), or a larger share (--validation-share)"
        )
    found = against_untrained(model, head, train, validation)
    return notes if found is None else [*notes, found]


def against_untrained(model: Model, head: Head, train: _Places, validation: _Places) -> str | None:
    """A sentence if a linear layer on the same encoder without training does better on validation; else None."""
    if (head.kind == "presence" and head.outputs == 1) or head.outputs > _MAX_CLASSES:
        return None
    classes = len(head.classes)
    few, held = _some(train, MAX_FITTED // 2, 1), _some(validation, _MAX_COMPARED, 2)
    bare = model.untrained(1)
    blocks = spatial_blocks(few.lonlat[:, 0], few.lonlat[:, 1], block_side_m(few.lonlat))
    parts = inner_parts(blocks, np.random.default_rng(0x1E))
    features = [np.asarray(bare.embed_lonlat(one.lonlat, one.years), np.float64) for one in (few, held)]
    labels = few.values.astype(np.int64) if classes else few.values
    theirs = linear_layer(features[0], labels, features[1], classes, 0, parts)
    ours = model.predict_lonlat(held.lonlat, held.years)
    name, one, other = (
        "top-1" if classes else "R²",
        _score(ours, held.values, classes),
        _score(theirs, held.values, classes),
    )
    if not one < other:
        return None
    return (
        f"on the {len(held.rows):,} validation places the trained model is worse than a linear layer on the same encoder "
        f"without training: {name} {one:.3f} < {other:.3f}; it may overfit: try --tune 10m, fewer --scales, a larger "
        "--r-min or more --dropout"
    )


def reliability_notes(
    model: Model, head: Head, lonlat: Floats, truth: NDArray[Any], years: Floats | None, over: Resampling,
    *, calibrated_here: bool,
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """How well the bands and the support of a head hold on tested places: lines for people, numbers for scripts.

    Args:
        model: the model.
        head: its head.
        lonlat: (N, 2) tested places.
        truth: (N,) labels.
        years: (N,) or (N, K) what the model reads of the time, or None.
        over: draws of their blocks.
        calibrated_here: whether the bands were scaled on these very places.
    """
    known = head.reliability
    if known is None:
        return [], {}
    z = torch.from_numpy(model.embed_lonlat(lonlat, years))
    head, supported = head.cpu(), known.supported(lonlat)
    found: dict[str, Any] = {"supported": float(supported.mean()), "reach_km": float(known.reach_km)}
    lines = [
        f"{supported.mean():.1%} of these places have a training point within {float(known.reach_km):,.0f} km, the reach"
        " of the model"
    ]
    if not known.width:
        return lines, found
    answers = head.answers(z).detach().numpy()
    if head.kind == "number":
        half = known.half_width(z).numpy() * head.deviation
        inside = (np.abs(answers[:, 0] - truth) <= half).astype(np.float64)
        share = mean_of(inside, over)
        found["calibrated"] = known.calibrated
        found |= {"coverage": share.value, "coverage_low": share.low, "coverage_high": share.high}
        how = known.uncalibrated or ("which were used to scale the bands" if calibrated_here else "")
        lines.append(
            f"{LEVEL:.0%} bands cover {share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of these places"
            + (f", {how}" if how else "")
        )
        doubt, risk, name = half, np.abs(answers[:, 0] - truth), "mean absolute error"
    else:
        best = answers.argmax(axis=1)
        doubt, risk, name = (
            -_mean_certainty(known, head, z, answers),
            (best != truth).astype(float),
            "error rate",
        )
        if head.outputs == 1:
            return lines, found
    order = np.argsort(doubt, kind="stable")
    risks = {share: float(risk[order[: max(1, round(share * len(order)))]].mean()) for share in _KEPT}
    found["risk"] = {f"{share:g}": value for share, value in risks.items()}
    told = ", ".join(
        f"{value:.3g} of the most certain {share:.0%}" for share, value in list(risks.items())[1:]
    )
    lines.append(f"{name} {risks[1.0]:.3g}; {told}")
    return lines, found


def _mean_certainty(known: Any, head: Head, z: torch.Tensor, answers: NDArray[Any]) -> NDArray[Any]:
    """(N,) probability of the predicted class, flattened by its deviation (MacKay 1992)."""
    logits, deviation = head(z).double().detach(), known.deviation(z)
    flat = logits / (1 + math.pi / 8 * deviation**2).sqrt()
    shares = torch.softmax(flat, 1) if head.kind == "classes" else torch.sigmoid(flat)
    return np.asarray(shares.numpy()[np.arange(len(answers)), answers.argmax(axis=1)])


def _parts(model: Model, dataset: Dataset, head: Head) -> tuple[_Places | None, _Places | None]:
    """Training and validation places of a run; None without any."""
    kept = read_split(model.path)
    split = None if kept is None or not dataset.has_labels else kept.split_of(dataset)
    if split is None:
        return None, None
    labels = dataset.labels()
    if (labels.kind == "number") != (head.kind == "number"):
        return None, None
    years = labels.moments(model.times) if model.times else None
    found: list[_Places | None] = []
    for number in (0, 1):
        rows = np.flatnonzero(split.code == number)
        found.append(
            None
            if not len(rows)
            else _Places(
                rows, dataset.lonlat[rows], labels.values[rows], None if years is None else years[rows]
            )
        )
    return found[0], found[1]


def _vectors(model: Model, head: Head, places: _Places) -> Vectors:
    some = _some(places, MAX_FITTED, 0)
    z = torch.from_numpy(model.embed_lonlat(some.lonlat, some.years))
    error = None
    if head.kind == "number":
        with torch.inference_mode():
            said = head.cpu()(z)[:, 0].double()
        error = torch.from_numpy((some.values - head.mean) / head.deviation) - said
    return Vectors(places.lonlat if len(places.rows) == len(some.rows) else some.lonlat, z, error)


def _some(places: _Places, most: int, seed: int) -> _Places:
    if len(places.rows) <= most:
        return places
    drawn = np.sort(np.random.default_rng([seed, 0x9E]).choice(len(places.rows), most, replace=False))
    years = None if places.years is None else places.years[drawn]
    return _Places(places.rows[drawn], places.lonlat[drawn], places.values[drawn], years)


def _score(found: NDArray[Any], truth: NDArray[Any], classes: int) -> float:
    if classes:
        return float((found.argmax(axis=1) == truth).mean())
    spread = float(((truth - truth.mean()) ** 2).mean())
    return 1.0 - float(((found[:, 0] - truth) ** 2).mean()) / spread if spread else math.nan
