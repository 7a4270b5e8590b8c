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
    "mobilenet-v2",
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
        "Two views, one of images and one of text, such as map,text or satellite,text (default: the first of each in "
        "the"
        " dataset)",
    )
    types: Level = option(
        "leaf", "Level of place types in the objective (for water/river, leaf is river and group is water)"
    )
    languages: tuple[str, ...] = option(
        (),
        "Languages of the texts, BCP 47, separated by commas (default: all; und: texts without a language)",
    )
    kinds: tuple[str, ...] = option(
        (), "Kinds of texts, such as name, alias, words, separated by commas (default: all)"
    )
    size_px: int | None = option(
        None, "Side of the image, pixels (default: 128 for a map, the whole chip for chips)", min=16
    )
    size_m: float = option(200.0, "Side of the window of a map, meters (0 uses native pixels)", min=0)
    bands: tuple[str, ...] = option((), "Bands or layers to use, separated by commas (default: all)")
    drop_layers: tuple[str, ...] = option((), "Bands or layers left out of the input, separated by commas")
    max_places: int | None = option(None, "Maximum number of places, drawn at random (default: all)", min=2)
    augment: bool = option(
        True, "Random rotation and mirroring of images (chips by multiples of 90 degrees, maps by any angle)"
    )
    drop_channels: float = option(0.1, "Probability of dropping a band or layer in training", min=0, below=1)
    resample_texts: bool = option(
        True, "Draw one of a place's texts anew at each step (off: always its first text)"
    )
    templates: str | None = option(
        None,
        "Sentence templates for names in training: a TOML file, default, or founding (English, three types) (default:"
        " none)",
        group=TEXT,
    )
    template_rate: float | None = option(
        None,
        "Share of names put into a sentence, drawn anew at each step (default 0.5 with --templates)",
        group=TEXT,
        min=0,
        max=1,
    )
    validation_share: float = option(
        0.1, "Share of the places held out for validation in whole blocks", min=0, max=0.5
    )
    block_m: float | None = option(
        None, "Side of the validation blocks, meters (default: an eighth of the extent, 250 to 5000)", above=0
    )
    encoder: Encoder = option(
        "auto",
        "Image encoder (auto: compact-tile-cnn for maps, spectral-cnn for chips, or the network of the package in "
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
    dim: int = option(256, "Length of the vectors", group=IMAGE, min=1)
    width: int = option(
        32,
        "Channels of the first stage (no effect on the founding encoders, resnet-18 and mobilenet-v2)",
        group=IMAGE,
        min=8,
    )
    indices: tuple[str, ...] = option(
        (), "Spectral indices added as channels of spectral-cnn: ndvi, ndwi", group=IMAGE
    )
    band_statistics: bool = option(
        False,
        "Mean, spread and percentiles of each band as input of the last layers of spectral-cnn",
        group=IMAGE,
    )
    full_scale: float | None = option(
        None,
        "Pixel value that stands for a reflectance of 1 (default: 255 for bytes, 1 for float32, otherwise 10000)",
        group=IMAGE,
        above=0,
    )
    text_model: str = option(
        "all-MiniLM-L6-v2",
        "Text model: a folder, a Hugging Face name, or the model of an installed package",
        group=TEXT,
    )
    lora_rank: int = option(
        8, "Rank of the LoRA adapters (0 freezes the text model and caches its vectors)", group=TEXT, min=0
    )
    lora_alpha: float = option(
        16.0, "Alpha of the LoRA adapters: their scale is alpha / rank", group=TEXT, above=0
    )
    lora_dropout: float = option(0.1, "Dropout applied before the LoRA adapters", group=TEXT, min=0, below=1)
    checkpoint_text: bool = option(
        False,
        "Recompute activations of the text model in the backward pass (less memory, more time)",
        group=TEXT,
    )
    max_tokens: int | None = option(
        None,
        "Maximum length of a text, tokens; longer ones are truncated (default: the limit of the text model)",
        group=TEXT,
        min=8,
    )
    objective: Objective = option(
        "log",
        "Contrastive loss for places of the same type (see docs/where2vec-model.md)",
        group=OBJECTIVE,
    )
    temperature: float | None = option(
        None,
        "Temperature, or its initial value if it is learned (default 0.07; 0.1 for sigmoid)",
        group=OBJECTIVE,
        min=0.01,
    )
    learn_temperature: bool = option(True, "Learn the temperature", group=OBJECTIVE)
    alpha: float = option(
        0.5,
        "Reduction of the weight of negatives that are of the same type as the place (0: full weight; 1: ignored)",
        group=OBJECTIVE,
        min=0,
        max=1,
    )
    semantic_weight: float | None = option(
        None,
        "Weight of the loss between images and type names (default: 0.3 for a map, 3 for chips)",
        group=OBJECTIVE,
        min=0,
    )
    batch_size: int = option(256, "Places per batch (halved if memory runs out)", group=TRAINING, min=2)
    balance_types: bool = option(
        False, "Draw the same number of places of each type for a batch", group=TRAINING
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views and (len(self.views) != 2 or len(set(self.views)) < 2):
            raise UsageError(
                f"--views must name two views, such as map,text or satellite,text; got {','.join(self.views)}"
            )
        if not self.text_model:
            raise UsageError(
                "--text-model is empty: give a folder, a Hugging Face model, or the model of an installed package"
            )
        if self.template_rate and self.templates is None:
            raise UsageError("--template-rate applies to sentences around names: add --templates")
        if self.init_bands and self.init is None:
            raise UsageError("--init-bands names the bands of the network in --init, which is missing")
        if self.bands and self.drop_layers:
            raise UsageError("--bands and --drop-layers are mutually exclusive: give only one")

    @property
    def rate(self) -> float:
        """Share of the names that are read in a sentence."""
        if self.templates is None:
            return 0.0
        return _RATE if self.template_rate is None else self.template_rate
