"""Encoders by name: what turns one view's batch into vectors.

An encoder is an ``nn.Module`` that takes one view's batch and returns (N, dim), has ``dim``, and has ``config()``:
the arguments that build it again. A saved model holds nothing but this name, that config and the weights.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from placevec.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from placevec.encoders.locations.encoder import LocationEncoder

# name -> (file of this room, class); imported when first used
_ENCODERS = {
    "compact-tile-cnn": ("tile_cnn", "CompactTileCNN"),
    "feature-projection": ("feature_projection", "FeatureProjection"),
    "founding-rgb-cnn": ("tile_cnn", "FoundingRgbCNN"),
    "founding-tile-cnn": ("tile_cnn", "FoundingTileCNN"),
    "geoclip-location": ("locations.geoclip", "GeoClipEncoder"),
    "location": ("locations.encoder", "LocationEncoder"),
    "shape-tile-cnn": ("shape_cnn", "ShapeTileCNN"),
    "standard-features": ("feature_projection", "StandardFeatures"),
}


def names() -> tuple[str, ...]:
    """All encoder names, sorted.

    >>> "compact-tile-cnn" in names()
    True
    """
    return tuple(sorted(_ENCODERS))


def build(name: str, **options: Any) -> nn.Module:
    """A fresh encoder, its weights drawn from torch's global generator.

    Raises:
        ModelError: unknown name or option (the near ones are named), or a value out of range.

    >>> build("compact-tile-cnn", channels=3, dim=16).dim
    16
    """
    if name not in _ENCODERS:
        raise ModelError(f"no encoder is called {name!r}{_near(name, names())}")
    encoder = _class(name)
    known = list(inspect.signature(encoder).parameters)
    for option in options:
        if option not in known:
            raise ModelError(f"the encoder {name} has no option {option!r}{_near(option, known)}")
    return encoder(**options)


def class_of(name: str) -> type[nn.Module]:
    """The class of which `build` makes encoders of that name; ModelError for an unknown one.

    >>> class_of("compact-tile-cnn").__name__
    'CompactTileCNN'
    """
    if name not in names():
        raise ModelError(f"no encoder is called {name!r}{_near(name, names())}")
    return _class(name)


def location(encoder: str = "sphereC+", dim: int = 256, **options: Any) -> LocationEncoder:
    """A fresh location encoder: longitude and latitude in degrees -> (N, dim).

    Args:
        encoder: any name it has had: ``sphereC+``, ``spheregrid`` and ``Sphere2Vec-sphereC+`` are one. There are
            ``placevec.encoders.locations.names.names()``.
        dim: length of the vectors.
        options: those of `LocationEncoder` (variant, network, hidden, layers, dropout, activation, seasons) and those
            of the features: scales, r_min, r_max (shares of the Earth's radius) and taper_poles of the multi-scale ones,
            sigma and anchors of rbf, sigma and frequencies of rff, degrees of harmonics, cells of cells.

    Raises:
        ModelError: unknown name or option (the near ones are named), or a value out of range.

    >>> encoder = location("sphereC+", dim=64, scales=16)
    >>> encoder([24.94, -170.7], [60.17, -14.3]).shape, encoder.features([24.94], [60.17]).shape
    (torch.Size([2, 64]), torch.Size([1, 96]))
    """
    known = inspect.signature(_class("location")).parameters
    mine = {name: options.pop(name) for name in list(options) if name in known and name != "options"}
    built: LocationEncoder = build("location", encoder=encoder, dim=dim, options=options, **mine)  # type: ignore[assignment]
    return built


def name_of(encoder: nn.Module) -> str:
    """The name under which `build` makes encoders of this class, or ModelError.

    >>> name_of(build("founding-tile-cnn", size_px=32))
    'founding-tile-cnn'
    """
    for name, (module, title) in _ENCODERS.items():
        if (type(encoder).__module__, type(encoder).__name__) == (f"{__name__}.{module}", title):
            return name
    raise ModelError(
        f"{type(encoder).__name__} is not a registered encoder: the registered are {', '.join(names())}"
    )


def _class(name: str) -> type[nn.Module]:
    module, title = _ENCODERS[name]
    found: type[nn.Module] = getattr(importlib.import_module(f"{__name__}.{module}"), title)
    return found


def _near(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"
