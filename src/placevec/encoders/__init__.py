"""Encoders by name: what turns one view's batch into vectors.

An encoder is an ``nn.Module`` that takes one view's batch and returns (N, dim), has ``dim``, and has ``config()``:
the arguments that build it again. A saved model holds nothing but this name, that config and the weights. Another
package adds encoders with entry points of the group ``placevec.encoders``, each of which names a class.
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
        "compact-tile-cnn": "placevec.encoders.tile_cnn:CompactTileCNN",
        "feature-projection": "placevec.encoders.feature_projection:FeatureProjection",
        "founding-rgb-cnn": "placevec.encoders.tile_cnn:FoundingRgbCNN",
        "founding-tile-cnn": "placevec.encoders.tile_cnn:FoundingTileCNN",
        "geoclip-location": "placevec.encoders.locations.geoclip:GeoClipEncoder",
        "location": "placevec.encoders.locations.encoder:LocationEncoder",
        "shape-tile-cnn": "placevec.encoders.shape_cnn:ShapeTileCNN",
        "standard-features": "placevec.encoders.feature_projection:StandardFeatures",
    },
)


def names() -> tuple[str, ...]:
    """All encoder names, sorted.

    >>> "compact-tile-cnn" in names()
    True
    """
    return tuple(sorted(ENCODERS.names()))


def build(name: str, **options: Any) -> nn.Module:
    """A fresh encoder, its weights drawn from torch's global generator.

    Raises:
        ModelError: unknown name or option (the near ones are named), or a value out of range.

    >>> build("compact-tile-cnn", channels=3, dim=16).dim
    16
    """
    if name not in ENCODERS:
        raise ModelError(f"no encoder is called {name!r}{_near(name, names())}")
    encoder = ENCODERS.load(name)
    known = list(inspect.signature(encoder).parameters)
    for option in options:
        if option not in known:
            raise ModelError(f"the encoder {name} has no option {option!r}{_near(option, known)}")
    built: nn.Module = encoder(**options)
    return built


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
    known = inspect.signature(ENCODERS.load("location")).parameters
    mine = {name: options.pop(name) for name in list(options) if name in known and name != "options"}
    built: LocationEncoder = build("location", encoder=encoder, dim=dim, options=options, **mine)  # type: ignore[assignment]
    return built


def name_of(encoder: nn.Module) -> str:
    """The name under which `build` makes encoders of this class, or ModelError.

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
        f"{type(encoder).__name__} is not a registered encoder: the registered are {', '.join(names())}"
    )


def _near(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"
