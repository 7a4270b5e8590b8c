"""Options of the recipe Loc2Vec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from placevec.errors import UsageError
from placevec.options import Options, option

Encoder = Literal["shape-tile-cnn", "compact-tile-cnn", "founding-tile-cnn", "founding-rgb-cnn"]
Objective = Literal["infonce", "triplet", "triplet-swap", "softpn"]
Predictable = Literal["layers", "landuse", "tags"]
PREDICTABLE: tuple[Predictable, ...] = get_args(Predictable)
PRESENCE = 2.0
"""Chosen by layers among the nearest vectors of cities (BENCHMARKS.md); `benchmarks.layers` measures it."""
DATA, MODEL, OBJECTIVE, TRAINING = "Data", "Model", "Objective", "Training"


@dataclass(frozen=True)
class Loc2VecConfig(Options):
    """Options of the recipe. Distances are in meters unless named otherwise.

    Distances in tiles are sampled as in the original 12-layer system (`TileSampler`), distances in degrees as in the
    original RGB system (`BoxSampler`). Predictions are trained on labels: evaluate such vectors on other areas only.

    >>> Loc2VecConfig(near_m=50.0, far_m=200.0).as_json()["far_m"]
    200.0
    >>> Loc2VecConfig(near_m=300.0, far_m=200.0)
    Traceback (most recent call last):
        ...
    placevec.errors.UsageError: --near-m 300 must be less than --far-m 200
    """

    GROUP: ClassVar[str] = DATA

    encoder: Encoder = option("shape-tile-cnn", "Tile encoder", group=MODEL)
    dim: int = option(128, "Length of the vectors", group=MODEL, min=1)
    width: int = option(
        32, "Channels of the first stage of shape-tile-cnn and compact-tile-cnn", group=MODEL, min=1
    )
    dropout: float = option(
        0.5, "Share of units dropped in training (only founding-tile-cnn)", group=MODEL, min=0, below=1
    )
    presence: float | None = option(
        None,
        "Distance added between vectors with and without a layer, standard deviations (only shape-tile-cnn; default: 2"
        " without a contrastive objective, otherwise 0)",
        group=MODEL,
        min=0,
    )
    size_px: int = option(128, "Side of the window around a place, pixels", min=16)
    size_m: float | None = option(200.0, "Side of the window, meters (0 uses native pixels)", min=0)
    drop_layers: tuple[str, ...] = option((), "Layers left out of the input, separated by commas")
    objective: Objective = option(
        "infonce",
        "Training objective (what the original 12-layer system calls softpn is triplet-swap here)",
        group=OBJECTIVE,
    )
    margin: float = option(0.2, "Margin of triplet and triplet-swap", group=OBJECTIVE)
    reduction: Literal["mean", "active"] | None = option(
        None,
        "Mean over all triplets or over active ones, those with a loss above 0 (default: active for triplet-swap, "
        "otherwise"
        " mean)",
        group=OBJECTIVE,
    )
    negatives: Literal["random", "hard", "semi-hard"] = option(
        "random",
        "Negatives of triplet, triplet-swap and softpn (random: random places; hard and semi-hard: places of the "
        "batch beyond --far-m)",
        group=OBJECTIVE,
    )
    temperature: float = option(0.1, "Temperature of infonce", group=OBJECTIVE, above=0)
    near_m: float = option(100.0, "Maximum distance of positives, meters", above=0)
    far_m: float = option(
        300.0, "Minimum distance of negatives, meters (nearer pairs of a batch are ignored)", above=0
    )
    near_tiles: float | None = option(
        None, "Maximum distance of positives, map tiles (instead of meters)", above=0
    )
    far_tiles: float | None = option(
        None, "Minimum distance of negatives, map tiles (instead of meters)", above=0
    )
    near_degrees: float | None = option(
        None, "Maximum distance of positives, degrees (instead of meters)", above=0
    )
    far_degrees: float | None = option(
        None, "Minimum distance of negatives, degrees (instead of meters)", above=0
    )
    positives: Literal["disc", "places"] = option(
        "disc",
        "Positives for distances in meters (disc: any point near the anchor; places: another place near it)",
    )
    rotate: bool = option(True, "Random rotation of the map before each window is read")
    flip: bool = option(False, "Random mirroring of windows, east to west and north to south")
    shift_m: float = option(0.0, "Maximum random shift of each window, meters", min=0)
    drop_channels: float = option(
        0.25,
        "Probability of dropping a layer of the positive, or of the anchor without a contrastive objective",
        min=0,
        max=1,
    )
    predict: tuple[Predictable, ...] = option(
        (),
        "Labels that the vectors are also trained to predict, separated by commas (layers: only the dropped ones)",
        group=OBJECTIVE,
    )
    contrast_weight: float = option(
        1.0, "Weight of the objective relative to predictions (0 disables it)", group=OBJECTIVE, min=0
    )
    max_places: int | None = option(
        None, "Maximum number of places per dataset, drawn at random (default: all)", min=2
    )
    batch_size: int = option(64, "Places per batch (halved if memory runs out)", group=TRAINING, min=2)
    samples_per_epoch: int | None = option(
        None, "Places per epoch (default: every place once)", group=TRAINING, min=1
    )
    validation_share: float = option(
        0.1, "Share of the places held out for validation in whole blocks", min=0, max=0.5
    )
    block_m: float | None = option(
        None, "Side of the validation blocks, meters (default: an eighth of the extent, 250 to 5000)", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size_m", self.size_m or None)
        self._check_distances()
        if self.objective == "infonce" and self.negatives != "random":
            raise UsageError(
                "--objective infonce contrasts an anchor with the whole batch: --negatives applies only to triplet,"
                " triplet-swap and softpn"
            )
        if self.presence is not None and self.encoder != "shape-tile-cnn":
            raise UsageError(f"--presence applies only to --encoder shape-tile-cnn, not to {self.encoder}")
        if self.contrast_weight == 0 and not self.predict:
            raise UsageError("there is no objective: set --contrast-weight above 0, or give --predict")

    @property
    def encoder_presence(self) -> float:
        """``presence``, or its default."""
        if self.presence is not None:
            return self.presence
        return PRESENCE if self.contrast_weight == 0 else 0.0

    def _check_distances(self) -> None:
        if not self.near_m < self.far_m:
            raise UsageError(f"--near-m {self.near_m:g} must be less than --far-m {self.far_m:g}")
        others = {
            "tiles": (self.near_tiles, self.far_tiles),
            "degrees": (self.near_degrees, self.far_degrees),
        }
        for unit, (near, far) in others.items():
            if (near is None) != (far is None):
                raise UsageError(f"set both distances in {unit}: --near-{unit} and --far-{unit}")
            if near is not None and far is not None and near > far:
                raise UsageError(f"--near-{unit} {near:g} must be at most --far-{unit} {far:g}")
        if self.near_tiles is not None and self.near_degrees is not None:
            raise UsageError("set distances in only one unit: meters, tiles or degrees")
