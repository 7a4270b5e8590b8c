"""The registry of location encoders, with all their names: ours, those of the founding code and those of the papers."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from placevec.encoders.locations import fourier, harmonics, kernels, planar, raw, sphere
from placevec.encoders.locations.frequencies import geometric
from placevec.encoders.locations.positional import Positional
from placevec.errors import ModelError
from placevec.options import choices

Variant = choices.Variant


@dataclass(frozen=True)
class Family:
    """One encoder: builders of the corrected and the original features, aliases, and the default network."""

    corrected: Callable[..., Positional]
    original: Callable[..., Positional] | None
    aliases: tuple[str, ...] = ()
    network: str = "ffn"


FAMILIES: Mapping[str, Family] = {
    "xyz": Family(raw.XYZ, raw.XYZ),
    "wrap": Family(raw.Wrap, raw.OriginalWrap, ("geo_net",), "resnet"),
    "wrap+ffn": Family(raw.Wrap, raw.OriginalWrap, ("geo_net_fft",)),
    "rbf": Family(kernels.RBF, kernels.OriginalRBF),
    "rff": Family(fourier.RandomFourier, fourier.OriginalRandomFourier),
    "grid": Family(planar.Grid, planar.OriginalGrid, ("gridcell", "Space2Vec-grid")),
    "theory": Family(planar.Theory, planar.OriginalTheory, ("Space2Vec-theory",)),
    "NeRF": Family(fourier.NeRF, fourier.OriginalNeRF),
    "sphereC": Family(
        sphere.SphereC,
        partial(sphere.SphereC, schedule=geometric, around=geometric),
        ("sphere", "Sphere2Vec-sphereC"),
    ),
    "sphereC+": Family(
        sphere.SphereCPlus,
        partial(sphere.SphereCPlus, schedule=geometric, around=geometric),
        ("spheregrid", "Sphere2Vec-sphereC+"),
    ),
    "sphereM": Family(
        sphere.SphereM,
        partial(sphere.SphereM, schedule=geometric, around=geometric),
        ("spheremixscale", "Sphere2Vec-sphereM"),
    ),
    "sphereM+": Family(
        sphere.SphereMPlus,
        partial(sphere.SphereMPlus, schedule=geometric, around=geometric),
        ("spheregridmixscale", "Sphere2Vec-sphereM+"),
    ),
    "dfs": Family(
        sphere.DFS, partial(sphere.DFS, schedule=geometric, around=geometric), ("dft", "Sphere2Vec-dfs")
    ),
    "harmonics": Family(harmonics.SphericalHarmonics, None, ("spherical_harmonics", "sh"), "siren"),
    "cells": Family(kernels.Cells, None, ("tile", "tile_ffn")),
}


def names() -> tuple[str, ...]:
    """The canonical names of all location encoders.

    >>> "sphereC+" in names()
    True
    """
    return tuple(FAMILIES)


def known_as(name: str) -> str:
    """The canonical name of an encoder given by any of its names; case, spaces, hyphens and underscores are ignored.

    Raises:
        ModelError: an unknown name (the message suggests similar ones).

    >>> known_as("spheregridmixscale"), known_as("Sphere2Vec-sphereC+"), known_as("geo_net")
    ('sphereM+', 'sphereC+', 'wrap')
    """
    found = _BY_NAME.get(_plain(str(name)))
    if found is None:
        close = difflib.get_close_matches(_plain(str(name)), _BY_NAME, n=3, cutoff=0.6)
        near = list(dict.fromkeys(_BY_NAME[one] for one in close))
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(FAMILIES)}"
        raise ModelError(f"unknown location encoder {str(name)[:60]!r}; {hint}")
    return found


def feature_options(name: str, variant: Variant = "corrected") -> tuple[str, ...]:
    """The options of an encoder's features.

    Raises:
        ModelError: an unknown name or variant, or a variant that the encoder does not have.

    >>> feature_options("gridcell")
    ('scales', 'r_min', 'r_max', 'taper_poles')
    """
    return _options(_maker(name, variant))


def positional(name: str, variant: Variant = "corrected", **options: Any) -> Positional:
    """Build the positional features of an encoder, without a network.

    Raises:
        ModelError: an unknown name, variant or option (the message lists the valid ones), or a value out of range.

    >>> positional("sphereC", scales=16).dim
    48
    """
    maker, title = _maker(name, variant), known_as(name)
    known = _options(maker)
    for option in options:
        if option not in known:
            there = ", ".join(known) or "none"
            raise ModelError(f"the {variant} {title} has no option {option!r}; valid options: {there}")
    return maker(**options)


def _maker(name: str, variant: Variant) -> Callable[..., Positional]:
    title = known_as(name)
    if variant not in ("corrected", "original"):
        raise ModelError(f"variant must be 'corrected' or 'original'; got {variant!r}")
    maker = FAMILIES[title].corrected if variant == "corrected" else FAMILIES[title].original
    if maker is None:
        raise ModelError(f"{title} has no original variant: it is not part of the original system")
    return maker


def _options(maker: Callable[..., Positional]) -> tuple[str, ...]:
    named = inspect.signature(maker).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(one.name for one in named if one.kind in plain and one.name not in ("schedule", "around"))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in " -_")


_BY_NAME = {
    _plain(called): title for title, family in FAMILIES.items() for called in (title, *family.aliases)
}
