"""Every choice of the recipe Where2Vec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from placevec.errors import UsageError
from placevec.options import Options, option

Encoder = Literal[
    "auto",
    "compact-tile-cnn",
    "shape-tile-cnn",
    "founding-tile-cnn",
    "spectral-cnn",
    "founding-spectral-cnn",
    "resnet-18",
]
Objective = Literal["log", "founding", "unicl", "sigmoid"]
Level = Literal["leaf", "group"]
DATA, IMAGE, TEXT, OBJECTIVE, TRAINING = "Data", "Image encoder", "Text encoder", "Objective", "Training"

_RATE = 0.5


@dataclass(frozen=True)
class Where2VecConfig(Options):
    """Every choice of the recipe.

    Raises:
        UsageError: not two views, or a text model that is not named.
    """

    GROUP: ClassVar[str] = DATA

    views: tuple[str, ...] = option(
        (),
        "Views: a map or chips, and texts, such as map,text or satellite,text (default: the first of each; chips of"
        " spectral encoders)",
    )
    types: Level = option(
        "leaf", "Types of places in the objective (leaf: river of water/river, group: water)"
    )
    languages: tuple[str, ...] = option(
        (), "Languages of the texts, BCP 47, separated by commas (default: all; und: those without one)"
    )
    kinds: tuple[str, ...] = option(
        (), "Kinds of the texts, such as name, alias, words, separated by commas (default: all)"
    )
    size_px: int | None = option(
        None, "Side of what is read, pixels (default: 128 of a map, all of chips)", min=16
    )
    size_m: float = option(200.0, "Side of the window of a map, meters (0 reads native pixels)", min=0)
    bands: tuple[str, ...] = option((), "Bands or layers that are read, separated by commas (default: all)")
    drop_layers: tuple[str, ...] = option((), "Bands or layers kept out of the input, separated by commas")
    max_places: int | None = option(None, "Maximum number of places, drawn at random (default: all)", min=2)
    augment: bool = option(
        True, "Random turns and mirroring of images (chips by quarters, maps by any angle)"
    )
    drop_channels: float = option(0.1, "Probability that a band or layer is switched off", min=0, below=1)
    resample_texts: bool = option(True, "Another text of a place in each step (off: always its first)")
    templates: str | None = option(
        None,
        "Sentences around names in training: a TOML file, default, or founding (English, three types) (default: none)",
        group=TEXT,
    )
    template_rate: float | None = option(
        None,
        "Share of the names that are read in such a sentence, another one in each step (default 0.5 with --templates)",
        group=TEXT,
        min=0,
        max=1,
    )
    validation_share: float = option(
        0.1, "Share of the places held out for validation in whole blocks", min=0, max=0.5
    )
    block_m: float | None = option(
        None, "Side of these blocks, meters (default: an eighth of the extent, 250 to 5000)", above=0
    )
    encoder: Encoder = option(
        "auto",
        "Image encoder (auto: compact-tile-cnn of maps, spectral-cnn of chips, that of a package in --init)",
        group=IMAGE,
    )
    init: str | None = option(
        None,
        "Weights that the image encoder starts from: geoembed, a run or model, or a file of weights (.safetensors,"
        " .npz, .pt)",
        group=IMAGE,
    )
    init_bands: tuple[str, ...] = option(
        (),
        "Bands of the network of --init in their order, where it does not say (default: red,green,blue of three; those"
        " of Sentinel-2 of 12 and 13)",
        group=IMAGE,
    )
    dim: int = option(256, "Length of the vectors", group=IMAGE, min=1)
    width: int = option(
        32, "Channels of the first stage (not of founding encoders and resnet-18)", group=IMAGE, min=8
    )
    indices: tuple[str, ...] = option(
        (), "Spectral indices as further channels of spectral-cnn: ndvi, ndwi", group=IMAGE
    )
    full_scale: float | None = option(
        None,
        "Number that stands for a reflectance of 1 (default: 255 of bytes, 1 of float32, else 10000)",
        group=IMAGE,
        above=0,
    )
    text_model: str = option(
        "all-MiniLM-L6-v2", "Text model: a folder, a name on the hub, or what a package carries", group=TEXT
    )
    lora_rank: int = option(
        8, "Rank of the adapters (0 leaves the text model as it is, and keeps its vectors)", group=TEXT, min=0
    )
    lora_alpha: float = option(16.0, "Numerator of the scale of the adapters", group=TEXT, above=0)
    lora_dropout: float = option(0.1, "Dropout before the adapters in training", group=TEXT, min=0, below=1)
    checkpoint_text: bool = option(
        False,
        "Activations of the text model computed again instead of kept (less memory, more time)",
        group=TEXT,
    )
    max_tokens: int | None = option(
        None, "Longest text in tokens, beyond which it is cut (default: of the text model)", group=TEXT, min=8
    )
    objective: Objective = option(
        "log",
        "How places of one type count in the contrast (see docs/where2vec-model.md)",
        group=OBJECTIVE,
    )
    temperature: float | None = option(
        None, "Temperature, or its first value (default 0.07; 0.1 of sigmoid)", group=OBJECTIVE, min=0.01
    )
    learn_temperature: bool = option(True, "Temperature is trained", group=OBJECTIVE)
    alpha: float = option(
        0.5, "Discount of other places of the same type as negatives", group=OBJECTIVE, min=0, max=1
    )
    semantic_weight: float = option(
        0.3, "Weight of the contrast of images with names of types", group=OBJECTIVE, min=0
    )
    batch_size: int = option(256, "Places in a batch (halved where memory runs out)", group=TRAINING, min=2)
    balance_types: bool = option(False, "As many places of each type in a batch", group=TRAINING)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views and (len(self.views) != 2 or len(set(self.views)) < 2):
            raise UsageError(
                f"--views names two, such as map,text or satellite,text; got {','.join(self.views)}"
            )
        if not self.text_model:
            raise UsageError("--text-model is a folder, a name on the hub, or what a package carries")
        if self.template_rate and self.templates is None:
            raise UsageError("--template-rate is about sentences around names: it needs --templates")
        if self.bands and self.drop_layers:
            raise UsageError("--bands says what is read, --drop-layers what is not: give one of them")

    @property
    def rate(self) -> float:
        """Share of the names that are read in a sentence."""
        if self.templates is None:
            return 0.0
        return _RATE if self.template_rate is None else self.template_rate
