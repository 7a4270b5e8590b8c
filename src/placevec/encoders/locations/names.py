"""Every location encoder by every name it has had: ours, the founding ones, those of the code and of the papers."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from placevec.encoders.locations import fourier, harmonics, kernels, planar, raw, sphere
from placevec.encoders.locations.frequencies import geometric
from placevec.encoders.locations.positional import Positional
from placevec.errors import ModelError

Variant = Literal["corrected", "original"]


@dataclass(frozen=True)
class Family:
    """One encoder: what builds it, corrected and as published, its other names, and the network it comes with."""

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
    """Our name of every location encoder.

    >>> "sphereC+" in names()
    True
    """
    return tuple(FAMILIES)


def known_as(name: str) -> str:
    """Our name of an encoder called by any of its names; capitals, spaces, hyphens and underscores do not matter.

    Raises:
        ModelError: there is none of that name; the near ones are named.

    >>> known_as("spheregridmixscale"), known_as("Sphere2Vec-sphereC+"), known_as("geo_net")
    ('sphereM+', 'sphereC+', 'wrap')
    """
    found = _BY_NAME.get(_plain(str(name)))
    if found is None:
        close = difflib.get_close_matches(_plain(str(name)), _BY_NAME, n=3, cutoff=0.6)
        near = list(dict.fromkeys(_BY_NAME[one] for one in close))
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(FAMILIES)}"
        raise ModelError(f"no location encoder is called {str(name)[:60]!r}; {hint}")
    return found


def feature_options(name: str, variant: Variant = "corrected") -> tuple[str, ...]:
    """The options that an encoder's features have.

    Raises:
        ModelError: an unknown name or variant, or a variant that the encoder has not.

    >>> feature_options("gridcell")
    ('scales', 'r_min', 'r_max', 'taper_poles')
    """
    return _options(_maker(name, variant))


def positional(name: str, variant: Variant = "corrected", **options: Any) -> Positional:
    """The positional features of an encoder, without a network.

    Raises:
        ModelError: an unknown name, variant or option (the known ones are named), or a value out of range.

    >>> positional("sphereC", scales=16).dim
    48
    """
    maker, title = _maker(name, variant), known_as(name)
    known = _options(maker)
    for option in options:
        if option not in known:
            there = ", ".join(known) or "none"
            raise ModelError(f"the {variant} {title} has no option {option!r}; its options: {there}")
    return maker(**options)


def _maker(name: str, variant: Variant) -> Callable[..., Positional]:
    title = known_as(name)
    if variant not in ("corrected", "original"):
        raise ModelError(f"variant is corrected or original; got {variant!r}")
    maker = FAMILIES[title].corrected if variant == "corrected" else FAMILIES[title].original
    if maker is None:
        raise ModelError(f"{title} is not of the founding system: it has no original variant")
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
