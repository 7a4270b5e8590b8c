"""Every choice of the recipe Loc2Vec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from placevec.errors import UsageError
from placevec.options import Options, option

Encoder = Literal["shape-tile-cnn", "compact-tile-cnn", "founding-tile-cnn", "founding-rgb-cnn"]
Objective = Literal["infonce", "triplet", "triplet-swap", "softpn"]
Predictable = Literal["layers", "landuse", "tags"]
PREDICTABLE: tuple[Predictable, ...] = get_args(Predictable)
DATA, MODEL, OBJECTIVE, TRAINING = "Data", "Model", "Objective", "Training"


@dataclass(frozen=True)
class Loc2VecConfig(Options):
    """Every choice of the recipe. Distances are meters, but for those named by another unit.

    Distances in tiles are drawn as the founding 12-layer system did (`TileSampler`), those in degrees as the founding
    RGB system did (`BoxSampler`). What is predicted are labels: such vectors are evaluated on other areas only.
    """

    GROUP: ClassVar[str] = DATA

    encoder: Encoder = option("shape-tile-cnn", "Tile encoder", group=MODEL)
    dim: int = option(128, "Length of the vectors", group=MODEL, min=1)
    width: int = option(
        32, "Channels of the first stage of the shape and the compact encoder", group=MODEL, min=1
    )
    dropout: float = option(
        0.5, "Share of units dropped in training (of founding-tile-cnn)", group=MODEL, min=0, below=1
    )
    size_px: int = option(128, "Side of the window read around a place, pixels", min=16)
    size_m: float | None = option(200.0, "Side of the window, meters (0 reads native pixels)", min=0)
    drop_layers: tuple[str, ...] = option((), "Layers kept out of the input, separated by commas")
    objective: Objective = option(
        "infonce",
        "Training objective (what the founding 12-layer system called softpn is triplet-swap)",
        group=OBJECTIVE,
    )
    margin: float = option(0.2, "Margin of triplet and triplet-swap", group=OBJECTIVE)
    reduction: Literal["mean", "active"] | None = option(
        None,
        "Mean over all triplets or over the active ones, whose hinge is above 0 (default: active of triplet-swap, else"
        " mean)",
        group=OBJECTIVE,
    )
    negatives: Literal["random", "hard", "semi-hard"] = option(
        "random",
        "Negatives of triplet, triplet-swap and softpn (random places, or those of the batch beyond --far-m that are"
        " hard or semi-hard)",
        group=OBJECTIVE,
    )
    temperature: float = option(0.1, "Temperature of infonce", group=OBJECTIVE, above=0)
    near_m: float = option(100.0, "Maximum distance of positives, meters", above=0)
    far_m: float = option(
        300.0, "Minimum distance of negatives, meters (nearer pairs of a batch are none)", above=0
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
        "disc", "Positives in meters (any point near the anchor, or another place of the table near it)"
    )
    rotate: bool = option(True, "Random rotation of the map before each window is read")
    flip: bool = option(False, "Random mirroring of windows, east to west and north to south")
    shift_m: float = option(0.0, "Maximum random shift of each window, meters", min=0)
    drop_channels: float = option(
        0.25,
        "Probability that a layer of the positive is switched off (of the anchor where nothing is contrasted)",
        min=0,
        max=1,
    )
    predict: tuple[Predictable, ...] = option(
        (),
        "What the vectors are trained to predict too, separated by commas (layers: those that are dropped)",
        group=OBJECTIVE,
    )
    contrast_weight: float = option(
        1.0, "Weight of the objective beside predictions (0 leaves it out)", group=OBJECTIVE, min=0
    )
    max_places: int | None = option(
        None, "Maximum number of places of each dataset, drawn at random (default: all)", min=2
    )
    batch_size: int = option(64, "Places in a batch (halved where memory runs out)", group=TRAINING, min=2)
    samples_per_epoch: int | None = option(
        None, "Places in an epoch (default: every place once)", group=TRAINING, min=1
    )
    validation_share: float = option(
        0.1, "Share of the places held out for validation in whole blocks", min=0, max=0.5
    )
    block_m: float | None = option(
        None, "Side of these blocks, meters (default: an eighth of the extent, 250 to 5000)", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size_m", self.size_m or None)
        self._check_distances()
        if self.objective == "infonce" and self.negatives != "random":
            raise UsageError(
                "--objective infonce contrasts an anchor with the whole batch: --negatives is of triplet, triplet-swap"
                " and softpn"
            )
        if self.contrast_weight == 0 and not self.predict:
            raise UsageError(
                "there is no objective: --contrast-weight has to be above 0, or --predict has to name something"
            )

    def _check_distances(self) -> None:
        if not self.near_m < self.far_m:
            raise UsageError(f"--near-m {self.near_m:g} has to be less than --far-m {self.far_m:g}")
        others = {
            "tiles": (self.near_tiles, self.far_tiles),
            "degrees": (self.near_degrees, self.far_degrees),
        }
        for unit, (near, far) in others.items():
            if (near is None) != (far is None):
                raise UsageError(f"distances in {unit} are two: give --near-{unit} and --far-{unit}")
            if near is not None and far is not None and near > far:
                raise UsageError(f"--near-{unit} {near:g} has to be at most --far-{unit} {far:g}")
        if self.near_tiles is not None and self.near_degrees is not None:
            raise UsageError("distances are in meters, in tiles or in degrees: give one of the three")
