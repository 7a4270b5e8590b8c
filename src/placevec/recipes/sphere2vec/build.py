"""Sphere2Vec: trains a location encoder on labeled points.

G. Mai et al., "Sphere2Vec: A General-Purpose Location Representation Learning over a Spherical Surface for Large-Scale
Geospatial Predictions", ISPRS 2023, doi:10.1016/j.isprsjprs.2023.06.016; its loss and sampling are those of O. Mac
Aodha et al. 2019. Also cross-entropy and regression, and the losses of SINR (E. Cole et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from placevec.core import Encoded, Objective, Recipe, Slot
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.labels import Labeled
from placevec.datasets.views.coordinates import NAME, SPEC, CoordinatesView
from placevec.datasets.views.features import IMAGE_FEATURES
from placevec.encoders.locations.spacing import spacing_of
from placevec.encoders.locations.spacing import suited as suited_scales
from placevec.errors import InputError, ModelError, UsageError
from placevec.geo import Floats, Ints
from placevec.models.heads import Head, widened
from placevec.options.durations import seconds_of
from placevec.recipes.built import Built
from placevec.recipes.sphere2vec import csp as sphere2vec_csp
from placevec.recipes.sphere2vec import tuning
from placevec.recipes.sphere2vec.config import OF_PRESENCE, WITH_BACKGROUND, Loss, Sphere2VecConfig
from placevec.recipes.sphere2vec.csp_config import CSP_LOSSES
from placevec.recipes.sphere2vec.encoder import device_of, encoder_of, with_rasters
from placevec.recipes.sphere2vec.init import options_in_effect
from placevec.recipes.sphere2vec.points import background_of, divided, usable
from placevec.recipes.sphere2vec.rasters import fields_from
from placevec.training import TrainingOptions
from placevec.training import train as fit
from placevec.training.objectives.presence import (
    SINR_POSITIVE_WEIGHT,
    OtherClassLoss,
    OtherPlaceLoss,
    PresenceLoss,
)
from placevec.training.objectives.supervised import ClassLoss, NumberLoss
from placevec.training.samplers.labeled import LabeledSampler

_MAX_NUMBERS = 2**24
"""Maximum predictions in a validation batch: points times classes."""
_MIN_STEPS = 25
"""Minimum batches per epoch."""
_MAX_VALIDATED = 65_536
"""Maximum validation points."""
_FEW_VALIDATED = 8
"""Minimum validation points; with fewer, differences between epochs are mostly chance."""


def build(
    dataset: Dataset | JoinedDataset,
    config: Sphere2VecConfig,
    training: Mapping[str, Any],
    validation: Dataset | JoinedDataset | None = None,
) -> Built:
    """Encoder, head, loss and sampler for a dataset's labeled points; see `points.divided` for the split."""
    if isinstance(dataset, JoinedDataset) or validation is not None:
        raise UsageError(
            "sphere2vec trains on one dataset and uses its split for validation: prepare one table with all points"
        )
    if config.loss == "auto" and not dataset.has_labels and IMAGE_FEATURES in dataset.view_names:
        config = replace(config, loss="csp")
    if config.loss in CSP_LOSSES:
        return sphere2vec_csp.build(dataset, config, training)
    labels = dataset.labels()
    seed = int(training.get("seed", 0))
    config = replace(config, loss=_loss_for(config, labels))
    config.check_loss(config.loss)
    rows, lacking, notes = usable(dataset, labels, config)
    lonlat = dataset.lonlat
    split, held, more = divided(lonlat, labels, rows, config, seed, lacking=lacking)
    train = split.rows("train")
    open_options = tuning.searched(config)
    held_out = lonlat[held] if split.held_out else None
    config, told = _with_scales(config, lonlat[train], held_out)
    if config.tune is not None and open_options:
        tuning.check_tuning(config, len(held) if split.held_out else 0, len(train))
        config, told = _tuned(dataset, config, training, open_options, lonlat[train])
    more = [*told, *more]
    fields, uncovered = fields_from(config.rasters, lonlat[train])
    more += uncovered
    encoder = with_rasters(encoder_of(config, lonlat[train], seed, _period(config, labels, train)), fields)
    head = _head(encoder.dim, config, labels, train)
    device = device_of(str(training.get("device", "auto")))
    sampler = _sampler(config, labels, lonlat, train, device, size=config.batch_size, seed=seed)
    validation_data = None
    if len(held):
        most = max(1, min(4096, _MAX_NUMBERS // head.outputs))
        batches = -(-min(len(held), _MAX_VALIDATED) // most)
        size = max(1, min(len(held), _MAX_VALIDATED) // batches)
        validation_data = _sampler(
            replace(config, balance=None), labels, lonlat, held, device, size=size, seed=seed + 1
        )
        if split.held_out and len(held) < _FEW_VALIDATED:
            more = [*more, _few(len(train), len(held))]
    recipe = Recipe(
        slots={role: Slot(NAME, "location") for role in sampler.draw(0).looks},
        encoders={"location": encoder},
        objectives={config.loss: (1.0, _objective(config, head, labels))},
        sampler=sampler,
        validation=validation_data,
        measure=_measure(head, labels, held if len(held) else train),
    )
    options = {
        "steps_per_epoch": _steps(sampler, training),
        "validation_steps": 0 if validation_data is None else validation_data.steps_per_epoch,
        "prefetch": 0,  # taking a slice of a table is faster than waiting for it
        **training,
        **({"device": "cpu"} if device.type == "cpu" else {}),
    }
    return Built(
        recipe, config, {NAME: CoordinatesView(lonlat)}, {NAME: SPEC}, TrainingOptions(**options), split,
        notes=[*notes, *more], heads={} if head is None else {NAME: head},
    )  # fmt: skip


def _with_scales(
    config: Sphere2VecConfig, points: Floats, held_out: Floats | None
) -> tuple[Sphere2VecConfig, list[str]]:
    """The configuration with scales that suit the places where none are given, and a note about them."""
    if config.init is not None or config.r_min is not None or config.r_max is not None:
        return config, []  # a range half by the points and half by hand need not be a range
    found = suited_scales(config.encoder, config.variant, points, held_out)
    chosen = {name: value for name, value in found.items() if getattr(config, name) is None}
    if not chosen or (config.scales is not None and config.scales > found.get("scales", math.inf)):
        return config, []
    lie = spacing_of(points, held_out)
    assert lie is not None
    note = (
        f"scales follow the {lie.points:,} training points within {lie.extent_km:,.0f} km and the "
        f"{lie.spacing_km:.3g} km that a prediction bridges: {tuning.flags(chosen)}, finest wavelength "
        f"{lie.finest_km:.3g} km"
    )
    return replace(config, **chosen), [note]


def _period(config: Sphere2VecConfig, labels: Labeled, train: Ints) -> tuple[float, float] | None:
    """First and last absolute time of the training places, as years; None if it is not read."""
    if not config.trend or labels.times is None:
        return None
    return float(labels.times[train].min()), float(labels.times[train].max())


def _tuned(
    dataset: Dataset,
    config: Sphere2VecConfig,
    training: Mapping[str, Any],
    open_options: Sequence[str],
    points: Floats,
) -> tuple[Sphere2VecConfig, list[str]]:
    """The configuration that was best on validation in short trainings, and a note about them."""
    wanted, seed = seconds_of(config.tune), int(training.get("seed", 0))
    assert wanted is not None
    own = options_in_effect(encoder_of(replace(config, trend=False), points, seed))
    start = replace(config, **{name: own[name] for name in open_options})
    trial = {**training, "epochs": min(int(training.get("epochs", tuning.EPOCHS)), tuning.EPOCHS)}
    trial["patience"] = tuning.PATIENCE

    def loss_of(one: Sphere2VecConfig) -> float:
        torch.manual_seed(seed)
        try:
            built = build(dataset, replace(one, tune=None), trial)
        except ModelError:  # not enough frequencies between these scales
            return math.inf
        done = fit(built.recipe, built.views, None, built.training, config={}, save=lambda _: None)
        return math.inf if done.best_loss is None else done.best_loss

    best, trials = tuning.search(start, open_options, loss_of, wanted)
    torch.manual_seed(seed)  # as without a search
    chosen = {name: value for name in open_options if (value := getattr(best, name)) is not None}
    return best, [tuning.said(trials, chosen, wanted)]


def suited(dataset: Dataset) -> dict[str, Any]:
    """Training options that suit a dataset: images without labels need an explicit loss."""
    images_only = IMAGE_FEATURES in dataset.view_names and not dataset.has_labels
    return {"loss": "csp"} if images_only else {}


def _steps(sampler: LabeledSampler, training: Mapping[str, Any]) -> int:
    """Batches per epoch: once over the points, or several times for a small table, so that 20 epochs suffice.

    The original schedule counts epochs over the data.
    """
    once = sampler.steps_per_epoch
    return once if training.get("schedule") == "decay" else max(once, _MIN_STEPS)


def _few(train: int, held: int) -> str:
    """The note for a validation set that is too small to decide anything."""
    return (
        f"only {held} of {train + held} places {'is' if held == 1 else 'are'} in the validation set, so the best epoch is"
        " mostly chance: prepare more places, or raise --validation-share"
    )


def _loss_for(config: Sphere2VecConfig, labels: Labeled) -> Loss:
    """The loss by name, or chosen by the labels; UsageError if they do not match."""
    numbers = labels.kind == "number"
    if config.loss == "auto":
        return "regression" if numbers else "presence"
    if numbers != (config.loss == "regression"):
        kind, fitting = ("numbers", "regression") if numbers else ("classes", "presence or cross-entropy")
        raise UsageError(f"--loss {config.loss} does not fit labels that are {kind}: use {fitting}, or auto")
    if config.loss in ("cross-entropy", "an_slds") and len(labels.classes) < 2:
        raise UsageError(
            f"--loss {config.loss} needs two classes, but all labels are {labels.classes[0][:40]!r}: "
            "use presence, which contrasts one class with background points"
        )
    return config.loss


def _head(dim: int, config: Sphere2VecConfig, labels: Labeled, train: Ints) -> Head:
    """A fresh head for vectors of ``dim`` and the labels; for numbers with mean and deviation of the training labels."""
    if labels.kind == "classes":
        return Head(dim, "presence" if config.loss in OF_PRESENCE else "classes", labels.classes)
    values = labels.values[train]
    deviation = float(values.std())
    if not deviation > 0:
        raise InputError(f"all training labels are {values[0]:g}: there is nothing to learn")
    return Head(dim, "number", mean=float(values.mean()), deviation=deviation)


def _sampler(
    config: Sphere2VecConfig,
    labels: Labeled,
    lonlat: Floats,
    rows: Ints,
    device: torch.device,
    *,
    size: int,
    seed: int,
) -> LabeledSampler:
    targets: dict[str, Any] = {"label": labels.values}
    if config.users:
        if labels.users is None:
            raise InputError(
                "there are no users in the dataset: prepare it with --user COLUMN, or train without --users"
            )
        targets["user"] = labels.users
    return LabeledSampler(
        rows, lonlat, batch_size=size, seed=seed, targets=targets, device=device,
        background=background_of(config, lonlat[rows], seed) if config.loss in WITH_BACKGROUND else None,
        classes=labels.values, max_per_class=config.balance,
        times=labels.moments(config.times) if config.times else None, of_year=config.times == ("season",),
    )  # fmt: skip


def _objective(config: Sphere2VecConfig, head: Head, labels: Labeled) -> Objective:
    if config.loss == "cross-entropy":
        return ClassLoss(head, label_smoothing=config.label_smoothing or 0.0)
    if config.loss == "regression":
        return NumberLoss(head)
    if config.loss == "an_slds":
        return OtherClassLoss(head)
    if config.loss == "an_ssdl":
        return OtherPlaceLoss(head)
    full = SINR_POSITIVE_WEIGHT if config.loss == "an_full" else None
    return PresenceLoss(
        head,
        positive_weight=full if config.positive_weight is None else config.positive_weight,
        background_weight=1.0 if config.background_weight is None else config.background_weight,
        users=labels.user_count if config.users else 0,
    )


def _measure(
    head: Head, labels: Labeled, rows: Ints
) -> Callable[[Mapping[str, Encoded], Mapping[str, Tensor]], dict[str, float]]:
    """Metrics of a validation batch: top-1 and MRR for classes, R2 for numbers, AUC for a single class.

    R2 divides by the variance over all ``rows``, so the mean over equal batches is the R2 over all of them.
    """
    variance = float(labels.values[rows].var()) if head.kind == "number" else 1.0

    def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, float]:
        point = slots["point"].z
        if head.kind == "number":
            errors = head.answers(point)[:, 0].double() - targets["label"]
            return {"r2": 1.0 - float((errors**2).mean()) / variance if variance else float("nan")}
        scores = widened(head(point))
        if head.outputs == 1:
            return (
                {}
                if "background" not in slots
                else {"auc": _auc(scores, widened(head(slots["background"].z)))}
            )
        own = scores.gather(1, targets["label"].long()[:, None])
        ranks = (scores > own).sum(1) + ((scores == own).sum(1) + 1) / 2.0
        return {"top1": float((ranks <= 1).double().mean()), "mrr": float((1.0 / ranks).mean())}

    return measure


def _auc(here: Tensor, elsewhere: Tensor) -> float:
    """How often a point scores higher than a background point; ties count half."""
    order = torch.sort(elsewhere[:, 0]).values
    below = torch.searchsorted(order, here[:, 0].contiguous(), right=False)
    upto = torch.searchsorted(order, here[:, 0].contiguous(), right=True)
    return float((below + upto).double().mean()) / (2.0 * len(order))
