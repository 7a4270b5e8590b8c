"""Every choice of the recipe Loc2Vec."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from placevec.errors import UsageError

ENCODERS = ("shape-tile-cnn", "compact-tile-cnn", "founding-tile-cnn", "founding-rgb-cnn")
OBJECTIVES = ("infonce", "triplet", "triplet-swap", "softpn")
NEGATIVES = ("random", "hard", "semi-hard")
PREDICTABLE = ("layers", "landuse", "tags")


@dataclass(frozen=True)
class Loc2VecConfig:
    """Every choice of the recipe. Distances are metres, but for those named by another unit.

    Attributes:
        encoder: name of the tile encoder: one of `ENCODERS`.
        dim: length of the vectors.
        width: channels of the first stage of the shape and the compact encoder.
        dropout: of the founding 12-layer encoder.
        size_px: side of the window in pixels.
        size_m: side of the window in metres; None reads whole native tiles, whose footprint varies with latitude.
        drop_layers: layers kept out of the input, so that tasks made of their tags stay honest.
        objective: ``infonce``, ``triplet``, ``triplet-swap`` or ``softpn``.
        margin: of the triplet objectives.
        reduction: of the triplet objectives: ``mean`` over all triplets, or over the ``active`` ones, whose hinge is
            above 0; None: active with the swap, as in the founding 12-layer system, else mean.
        negatives: of the triplet objectives: ``random`` places far away, or those of the batch that are ``hard`` or
            ``semi-hard`` to tell from the anchor and at least ``far_m`` away.
        temperature: of InfoNCE.
        near_m: positives lie within this distance of the anchor.
        far_m: negatives lie at least this far away; nearer pairs of a batch are not negatives.
        near_tiles, far_tiles: the same in map tiles, drawn as the founding 12-layer system did (`TileSampler`).
        near_degrees, far_degrees: the same in degrees, drawn as the founding RGB system did (`BoxSampler`).
        positives: in metres: ``disc`` (any point near the anchor) or ``places`` (another place of the table near it).
        rotate: turn the map by a random angle before each window is read.
        flip: mirror windows at random, east to west and north to south.
        shift_m: move every window to a random point within so many metres.
        drop_channels: chance that a layer of the positive is switched off; of the anchor where nothing is contrasted.
        predict: what the vectors must also foretell of a place, as shares: ``layers`` (those kept out of the input),
            ``landuse``, ``tags`` (which occur). These are labels: vectors are then judged on other ground only.
        contrast_weight: of the objective beside the predictions; 0 leaves it out.
        most_places: places of one dataset that are trained on, drawn at random, so that the largest of several does
            not outweigh the others; None: all.
        batch_size: anchors in a batch.
        samples_per_epoch: anchors in a pass; None: every place once.
        validation_share: share of the places held out in whole blocks.
        block_m: side of a block; None chooses an eighth of the extent, between 250 m and 5 km.
    """

    encoder: str = "shape-tile-cnn"
    dim: int = 128
    width: int = 32
    dropout: float = 0.5
    size_px: int = 128
    size_m: float | None = 200.0
    drop_layers: tuple[str, ...] = ()
    objective: str = "infonce"
    margin: float = 0.2
    reduction: str | None = None
    negatives: str = "random"
    temperature: float = 0.1
    near_m: float = 100.0
    far_m: float = 300.0
    near_tiles: float | None = None
    far_tiles: float | None = None
    near_degrees: float | None = None
    far_degrees: float | None = None
    positives: str = "disc"
    rotate: bool = True
    flip: bool = False
    shift_m: float = 0.0
    drop_channels: float = 0.25
    predict: tuple[str, ...] = ()
    contrast_weight: float = 1.0
    most_places: int | None = None
    batch_size: int = 64
    samples_per_epoch: int | None = None
    validation_share: float = 0.1
    block_m: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "drop_layers", tuple(self.drop_layers))
        object.__setattr__(self, "predict", tuple(self.predict))
        for name, value, allowed in (
            ("encoder", self.encoder, ENCODERS),
            ("objective", self.objective, OBJECTIVES),
            ("negatives", self.negatives, NEGATIVES),
            ("reduction", self.reduction, (None, "mean", "active")),
            ("positives", self.positives, ("disc", "places")),
        ):
            if value not in allowed:
                there = ", ".join(str(one) for one in allowed if one)
                raise UsageError(f"{name} {value!r} is unknown: choose from {there}")
        self._check_distances()
        if self.objective == "infonce" and self.negatives != "random":
            raise UsageError(
                "infonce tells an anchor from the whole batch: hard negatives are for triplet and softpn"
            )
        if self.dim < 1 or self.width < 1:
            raise UsageError(f"vectors and layers have at least one number; got {min(self.dim, self.width)}")
        if self.size_px < 16:
            raise UsageError(f"a window of {self.size_px} px is too small: at least 16")
        if self.size_m is not None and not self.size_m > 0:
            raise UsageError(f"a window needs a positive size in metres; got {self.size_m}")
        if self.batch_size < 2:
            raise UsageError("a batch needs at least two places")
        if unknown := [name for name in self.predict if name not in PREDICTABLE]:
            raise UsageError(f"{unknown[0]!r} cannot be predicted: choose from {', '.join(PREDICTABLE)}")
        if not self.contrast_weight >= 0 or (self.contrast_weight == 0 and not self.predict):
            raise UsageError(
                "nothing is left to learn: give contrast a weight above 0, or something to predict"
            )
        if self.most_places is not None and self.most_places < 2:
            raise UsageError("at least two places of a dataset are trained on")
        if self.samples_per_epoch is not None and self.samples_per_epoch < 1:
            raise UsageError("a pass needs at least one sample")

    def _check_distances(self) -> None:
        if not 0 < self.near_m < self.far_m:
            raise UsageError(f"near ({self.near_m} m) must be positive and less than far ({self.far_m} m)")
        others = {
            "tiles": (self.near_tiles, self.far_tiles),
            "degrees": (self.near_degrees, self.far_degrees),
        }
        for unit, (near, far) in others.items():
            if (near is None) != (far is None):
                raise UsageError(f"distances in {unit} are two: give near_{unit} and far_{unit}")
            if near is not None and far is not None and not 0 < near <= far:
                raise UsageError(
                    f"near_{unit} is positive and not more than far_{unit}; got {near:g} and {far:g}"
                )
        if self.near_tiles is not None and self.near_degrees is not None:
            raise UsageError("distances are in metres, in tiles or in degrees: give one of the three")

    @property
    def unit(self) -> str:
        """How near and far are measured: ``m``, ``tiles`` or ``degrees``."""
        return "tiles" if self.near_tiles is not None else "degrees" if self.near_degrees is not None else "m"


def config_dict(config: Loc2VecConfig) -> dict[str, Any]:
    """Plain JSON of a configuration."""
    return {**asdict(config), "drop_layers": list(config.drop_layers), "predict": list(config.predict)}
