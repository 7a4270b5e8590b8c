"""Every choice of the recipe MMGR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, option

Encoder = Literal[
    "auto", "compact-tile-cnn", "shape-tile-cnn", "founding-tile-cnn", "resnet-18", "resnet-34", "resnet-50",
    "mobilenet-v2", "spectral-cnn",
]  # fmt: skip
Pooling = Literal["attention", "set2set", "graph"]
Form = Literal["separate", "founding"]
DATA, IMAGE, POIS, OBJECTIVE, TRAINING = "Data", "Image encoder", "POI encoder", "Objective", "Training"


@dataclass(frozen=True)
class MmgrConfig(Options):
    """Every choice of the recipe.

    Raises:
        UsageError: heads of attention that do not divide the vectors of categories.
    """

    GROUP: ClassVar[str] = DATA

    image_view: str | None = option(
        None, "View of images, chips or a map (default: the first one in the dataset)"
    )
    size_px: int | None = option(
        None, "Side of an image, pixels (default: 128 for a map, the whole chip for chips)", min=32
    )
    size_m: float | None = option(
        None, "Side of a cell, meters, for a map and for points (default: the side of the places)", above=0
    )
    drop_layers: tuple[str, ...] = option((), "Layers or bands left out of the input, separated by commas")
    drop_categories: tuple[str, ...] = option(
        (), "Categories of points left out of the input, including their subcategories, separated by commas"
    )
    max_places: int | None = option(None, "Maximum number of cells, drawn at random (default: all)", min=2)
    augment: bool = option(True, "Random rotation, mirroring and small shifts of images")
    drop_channels: float = option(0.2, "Probability of dropping a layer or band in training", min=0, below=1)
    crop_share: float = option(
        1.0,
        "Minimum share of a chip's area that an augmented image shows, enlarged (1: all of it)",
        above=0,
        max=1,
    )
    jitter: float = option(
        0.0, "Changes of brightness, contrast and saturation of augmented chips, each way", min=0, below=1
    )
    gray: float = option(0.0, "Probability that an augmented chip is gray", min=0, max=1)
    keep_share: float = option(
        0.5, "Minimum share of a cell's points that a sample keeps (1 keeps all)", above=0, max=1
    )
    validation_share: float = option(
        0.1, "Share of the cells held out for validation in whole blocks", min=0, max=0.5
    )
    block_m: float | None = option(
        None,
        "Side of the validation blocks, meters (default: an eighth of the extent, at least 250)",
        above=0,
    )
    encoder: Encoder = option(
        "auto",
        "Image encoder (auto: compact-tile-cnn for maps, resnet-18 for chips, or the network of the package in "
        "--init)",
        group=IMAGE,
    )
    init: str | None = option(
        None,
        "Initial weights of the image encoder: geoembed or mobilenet-imagenet (from installed packages), a run or "
        "model, a file"
        " (.safetensors, .npz, .pt), or a name on the Hugging Face hub",
        group=IMAGE,
    )
    init_bands: tuple[str, ...] = option(
        (),
        "Bands of the --init network in order, if the weights do not name them (default: red,green,blue for three;"
        " the Sentinel-2 bands for 12 and 13)",
        group=IMAGE,
    )
    band_statistics: bool = option(
        True,
        "Mean, spread and percentiles of each band as input of the last layers of spectral-cnn",
        group=IMAGE,
    )
    full_scale: float | None = option(
        None,
        "Pixel value in chips that stands for a reflectance of 1 (default: 255 for bytes, 1 for float32, otherwise "
        "10000)",
        group=IMAGE,
        above=0,
    )
    dim: int = option(128, "Length of the vectors of images and of points", group=IMAGE, min=1)
    width: int = option(
        32, "Channels of the first stage (no effect on ResNets and mobilenet-v2)", group=IMAGE, min=8
    )
    image_hidden: int = option(256, "Hidden units of the projection head of images", group=IMAGE, min=1)
    pooling: Pooling = option(
        "attention", "Pooling of points (graph: attention along Delaunay edges first)", group=POIS
    )
    positions: bool = option(
        True, "Positions of the points in the cell as input (not with set2set)", group=POIS
    )
    distances: int = option(
        7,
        "Number of distances from the center, each half the previous one, within which points are counted (0 counts "
        "only all points; not with set2set)",
        group=POIS,
        min=0,
        max=16,
    )
    category_dim: int = option(64, "Length of the category vectors", group=POIS, min=4)
    category_vectors: Path | None = option(
        None,
        "Existing category vectors: a run that learned them, a table, or `text` to embed the category names "
        "(default: learned with the rest)",
        group=POIS,
    )
    text_model: str = option(
        "all-MiniLM-L6-v2",
        "Text model of --category-vectors text: a folder, a Hugging Face name, or the model of an installed package",
        group=POIS,
    )
    train_categories: bool = option(True, "Keep training the category vectors that were given", group=POIS)
    poi_hidden: int = option(256, "Hidden units of the projection head of points", group=POIS, min=1)
    objective: Form = option(
        "separate",
        "Contrastive loss (separate: InfoNCE for each pair of views; founding: NT-Xent as published)",
        group=OBJECTIVE,
    )
    projection_dim: int = option(128, "Length of the projections that are contrasted", group=OBJECTIVE, min=1)
    temperature: float = option(
        0.2, "Temperature, or its initial value if it is learned", group=OBJECTIVE, min=0.01
    )
    learn_temperature: bool = option(True, "Learn the temperature", group=OBJECTIVE)
    intra_weight: float = option(0.5, "Weight of the contrast of images with images", group=OBJECTIVE, min=0)
    inter_weight: float = option(0.5, "Weight of the contrast of images with points", group=OBJECTIVE, min=0)
    poi_weight: float = option(0.25, "Weight of the contrast of points with points", group=OBJECTIVE, min=0)
    batch_size: int = option(128, "Cells per batch (halved if memory runs out)", group=TRAINING, min=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling != "set2set" and self.category_dim % 4:
            raise UsageError(f"--category-dim must be a multiple of 4 with --pooling {self.pooling}")
        if self.init_bands and self.init is None:
            raise UsageError("--init-bands names the bands of the network in --init, which is missing")
