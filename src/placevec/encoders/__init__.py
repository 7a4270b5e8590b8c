"""The registry of encoders, which turn one view's batch into vectors.

An encoder is an ``nn.Module`` that maps one view's batch to (N, dim). It has an attribute ``dim`` and a method
``config()``, which returns the arguments that build it again. A saved model stores the encoder's name, config and
weights. ``bf16_on_cpu = True`` says that it trains faster in bf16 on a CPU and learns no worse. Other packages
can add encoder classes through entry points of the group ``placevec.encoders``.
"""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

from placevec.errors import ModelError, PlacevecError
from placevec.plugins import Registry

if TYPE_CHECKING:
    from torch import nn

    from placevec.encoders.locations.encoder import LocationEncoder

ENCODERS = Registry(
    "placevec.encoders",
    "encoder",
    {
        "climplicit-location": "placevec.encoders.locations.climplicit:ClimplicitEncoder",
        "compact-tile-cnn": "placevec.encoders.tile_cnn:CompactTileCNN",
        "feature-projection": "placevec.encoders.feature_projection:FeatureProjection",
        "founding-rgb-cnn": "placevec.encoders.tile_cnn:FoundingRgbCNN",
        "founding-spectral-cnn": "placevec.encoders.spectral_cnn:FoundingSpectralCNN",
        "founding-tile-cnn": "placevec.encoders.tile_cnn:FoundingTileCNN",
        "geoclip-location": "placevec.encoders.locations.geoclip:GeoClipEncoder",
        "location": "placevec.encoders.locations.encoder:LocationEncoder",
        "mobilenet-v2": "placevec.encoders.image_backbones:MobileNetV2",
        "poi-categories": "placevec.encoders.poi_categories:PoiCategories",
        "poi-set": "placevec.encoders.poi_set:PoiSetEncoder",
        "resnet-18": "placevec.encoders.image_backbones:ResNet18",
        "resnet-34": "placevec.encoders.image_backbones:ResNet34",
        "resnet-50": "placevec.encoders.image_backbones:ResNet50",
        "shape-tile-cnn": "placevec.encoders.shape_cnn:ShapeTileCNN",
        "spectral-cnn": "placevec.encoders.spectral_cnn:SpectralCNN",
        "standard-features": "placevec.encoders.feature_projection:StandardFeatures",
        "text": "placevec.encoders.text:TextEncoder",
    },
)


def names() -> tuple[str, ...]:
    """The names of all encoders, sorted.

    >>> "compact-tile-cnn" in names()
    True
    """
    return tuple(sorted(ENCODERS.names()))


def build(name: str, **options: Any) -> nn.Module:
    """Build a new encoder, with weights initialized from torch's global random generator.

    Raises:
        ModelError: an unknown name or option (the message suggests similar ones), or a value out of range.

    >>> build("compact-tile-cnn", channels=3, dim=16).dim
    16
    """
    if name not in ENCODERS:
        raise ModelError(f"unknown encoder {name!r}{_near(name, names())}")
    encoder = ENCODERS.load(name)
    known = list(inspect.signature(encoder).parameters)
    for option in options:
        if option not in known:
            raise ModelError(f"the encoder {name} has no option {option!r}{_near(option, known)}")
    built: nn.Module = encoder(**options)
    return built


def class_of(name: str) -> type[nn.Module]:
    """The class behind a name; ModelError for an unknown one.

    >>> class_of("compact-tile-cnn").__name__
    'CompactTileCNN'
    """
    if name not in ENCODERS:
        raise ModelError(f"unknown encoder {name!r}{_near(name, names())}")
    found: type[nn.Module] = ENCODERS.load(name)
    return found


def location(
    encoder: str = "sphereC+", dim: int = 256, *, seed: int | None = None, **options: Any
) -> LocationEncoder:
    """Build a new location encoder: longitude and latitude in degrees -> (N, dim).

    Args:
        encoder: name or alias: ``sphereC+``, ``spheregrid`` and ``Sphere2Vec-sphereC+`` are the same encoder. All
            names: ``placevec.encoders.locations.names.names()``.
        dim: length of the vectors.
        seed: seed of the initial weights (default: drawn from torch's global random generator).
        options: options of `LocationEncoder` (variant, network, hidden, layers, dropout, activation, seasons, ...) and of
            the features: scales, r_min, r_max (in Earth radii) and taper_poles for the multi-scale encoders, sigma and
            anchors for rbf, sigma and frequencies for rff, degrees for harmonics, cells for cells.

    Raises:
        ModelError: an unknown name or option (the message suggests similar ones), or a value out of range.

    >>> encoder = location("sphereC+", dim=64, scales=16)
    >>> encoder([24.94, -170.7], [60.17, -14.3]).shape, encoder.features([24.94], [60.17]).shape
    (torch.Size([2, 64]), torch.Size([1, 96]))
    >>> one, other = (location(dim=8, seed=1).encode([24.94], [60.17]) for _ in range(2))
    >>> bool((one == other).all())
    True
    """
    import torch

    known = inspect.signature(ENCODERS.load("location")).parameters
    mine = {name: options.pop(name) for name in list(options) if name in known and name != "options"}
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        built: LocationEncoder = build("location", encoder=encoder, dim=dim, options=options, **mine)  # type: ignore[assignment]
    return built


def name_of(encoder: nn.Module) -> str:
    """The registered name of an encoder's class; ModelError if it is not registered.

    >>> name_of(build("founding-tile-cnn", size_px=32))
    'founding-tile-cnn'
    """
    here = f"{type(encoder).__module__}:{type(encoder).__qualname__}"
    for name, where in ENCODERS.builtin.items():
        if where == here:
            return name
    for name in ENCODERS.names()[len(ENCODERS.builtin) :]:
        try:
            if ENCODERS.load(name) is type(encoder):
                return name
        except PlacevecError:  # another package's, and not this one
            continue
    raise ModelError(
        f"{type(encoder).__name__} is not a registered encoder; registered are {', '.join(names())}"
    )


def _near(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; choose from {', '.join(known)}"
