"""The encoders that compete, each corrected and as published, and the settings that each may choose from.

An encoder with the wrong finest scale loses to itself with the right one, so each may choose among three, inside the
training folds, with the penalty (`ridge`). The finest wavelengths on offer are the same for all: 1.5, 0.4 and 0.1
blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from placevec.encoders.locations.names import FAMILIES, Variant, known_as, positional
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, table_of
from placevec.evaluation.tasks import WORLD_BLOCK_M
from placevec.geo import Floats

FINEST = (1.5, 0.4, 0.1)
"""Finest wavelengths that a multi-scale encoder may choose from, in blocks."""
SCALES = (8, 16, 32)
"""How many scales each of them comes with."""
ANCHORS = 300
UNTRAINED_MEANS_NOTHING = ("cells",)
"""Encoders whose features are learned: they take part in the trained probe only."""
SAME_FEATURES = {"wrap+ffn": "wrap"}
"""Encoders that differ from another by their network only."""
_MAX_DEGREES = 30
_DEGREES = math.degrees(1.0)
_SPHERE = ("sphereC", "sphereC+", "sphereM", "sphereM+")


@dataclass(frozen=True)
class Candidate:
    """One encoder in one variant."""

    encoder: str
    variant: Variant

    @property
    def name(self) -> str:
        """Such as ``sphereC+`` or ``sphereC+ (original)``."""
        return self.encoder if self.variant == "corrected" else f"{self.encoder} (original)"

    def settings(self, block_m: float) -> tuple[dict[str, Any], ...]:
        """Options to choose from on ground cut into blocks of a size; one empty setting where there is no choice."""
        wavelengths = [
            share * block_m / 1000.0 / CIRCUMFERENCE_KM for share in FINEST
        ]  # = r_min: shares of the radius
        finer = max(0, round(math.log2(WORLD_BLOCK_M / block_m)))
        original = self.variant == "original"
        if self.encoder in (*_SPHERE, "grid", "theory"):
            planar = original and self.encoder not in _SPHERE
            wide = {"r_max": 360.0} if planar else {}
            return tuple(
                {"scales": scales, "r_min": r_min * (_DEGREES if planar else 1.0), **wide}
                for scales, r_min in zip(SCALES, wavelengths, strict=True)
            )
        if self.encoder == "dfs":
            return tuple(
                {"scales": scales, "r_min": r_min}
                for scales, r_min in zip((5, 8, 8), wavelengths, strict=True)
            )
        if self.encoder == "NeRF":
            return tuple({"scales": count + finer} for count in ((4, 6, 8) if original else (5, 7, 9)))
        if self.encoder == "harmonics":
            return tuple({"degrees": min(count + 5 * finer, _MAX_DEGREES)} for count in (8, 14, 20))
        sigmas = [share * block_m / 111_195.0 for share in (1.0, 0.4, 0.15)]
        if self.encoder == "rbf":
            return tuple({"anchors": "rows", "sigma": sigma} for sigma in sigmas)
        if self.encoder == "rff":
            if original:  # its kernel_size is the variance of the frequencies of lon, lat scaled to -1 to 1
                return tuple(
                    {"frequencies": 256, "kernel_size": size}
                    for size in (1.0, (90 / sigmas[0]) ** 2, (90 / sigmas[1]) ** 2)
                )
            return tuple({"frequencies": 256, "sigma": sigma} for sigma in sigmas)
        return ({},)

    def features(self, lonlat: Floats, setting: Mapping[str, Any], rows: Floats) -> Floats:
        """(N, D) float64 positional features; ``rows`` (M, 2) are the points from which anchors are drawn."""
        made = positional(self.encoder, self.variant, **self.options(setting, rows))
        lon, lat = torch.from_numpy(np.array(lonlat, np.float64)).unbind(-1)
        with torch.no_grad():
            return np.asarray(table_of(made, lon, lat).numpy())

    def options(self, setting: Mapping[str, Any], rows: Floats) -> dict[str, Any]:
        """The setting as the encoder takes it: anchors are drawn from (M, 2) rows, evenly by number."""
        chosen = dict(setting)
        if chosen.get("anchors") == "rows":
            drawn = np.random.default_rng([len(rows), 0xA0C]).permutation(len(rows))[:ANCHORS]
            chosen["anchors"] = rows[np.sort(drawn)]
        return chosen


def candidates(named: Sequence[str] | None = None, originals: bool = True) -> tuple[Candidate, ...]:
    """Those named (every name that an encoder has had is known), or all; with their originals where these differ.

    Raises:
        ModelError: an unknown encoder.

    >>> [one.name for one in candidates(["spheregrid", "xyz"])]
    ['sphereC+', 'sphereC+ (original)', 'xyz']
    """
    chosen = list(FAMILIES) if not named else list(dict.fromkeys(known_as(name) for name in named))
    found = []
    for name in chosen:
        found.append(Candidate(name, "corrected"))
        family = FAMILIES[name]
        if originals and family.original is not None and family.original is not family.corrected:
            found.append(Candidate(name, "original"))
    return tuple(found)
