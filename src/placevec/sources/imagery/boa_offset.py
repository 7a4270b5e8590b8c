"""The offset of Sentinel-2's processing baseline 04.00, to be removed exactly once.

Since that baseline (2022-01-25, and whatever was processed again later, of any date) 1,000 is added to the numbers of a
product, so that reflectance = (number - 1000) / 10000. Many catalogs serve files from which it is removed already. What
they say about it cannot be trusted alone: flags were false where it had been removed, and the date of a scene does not
tell its baseline. So everything that is said is compared with the darkest pixels: water, shadow and dense vegetation are
darker than 0.09 in some band of nearly every scene, which numbers that still hold the offset cannot show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from placevec.sources.imagery.scenes import Scene

OFFSET = 1000
"""What baseline 04.00 adds, in stored numbers."""
DARK = 900
"""Stored numbers below which the darkest pixels cannot hold the offset."""
DARKEST_SHARE = 0.005
"""Share of valid pixels that may be darker than what counts as darkest: a few are artifacts."""
BRIGHT = 1400
"""Stored numbers above which the darkest pixels tell nothing: everything there is bright."""


@dataclass(frozen=True)
class OffsetDecision:
    """What is added to the stored numbers of a scene, and why.

    Attributes:
        added: 0 or -1000.
        reason: in a few words.
        baseline, flag, declared, darkest: what it was decided by: the processing baseline, the catalog's flag that the
            offset is applied, the offset that it declares in reflectance, and the darkest stored number; None is unknown.
        doubtful: whether what is said contradicts itself or the pixels.
    """

    added: int
    reason: str
    baseline: str | None
    flag: bool | None
    declared: float | None
    darkest: float | None
    doubtful: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return dict(self.__dict__)


def decide_offset(scene: Scene, darkest: float | None, band: str | None = None) -> OffsetDecision:
    """Whether the numbers of a scene still hold the offset.

    Args:
        scene: what the catalog says.
        darkest: the stored number below which `DARKEST_SHARE` of a scene's valid pixels lie, in its darkest band; None
            if unknown.
        band: that is read, for the offset declared of it; default: any.

    >>> from placevec.sources.imagery.scenes import Asset
    >>> def scene(baseline, applied=None, offset=None):
    ...     bands = {"B04": Asset("a.tif", offset=offset)}
    ...     return Scene("a", "", "2023-07-01", (0, 0, 1, 1), bands, None, 0, baseline, applied)
    >>> decide_offset(scene("05.09", False, -0.1), 1030).added, decide_offset(scene("05.09", False, -0.1), 240).added
    (-1000, 0)
    >>> decide_offset(scene("03.01"), 1030).added, decide_offset(scene("05.09", True), 1030).added
    (0, 0)
    """
    own = scene.bands.get(band or "")
    assets = list(scene.bands.values()) if own is None else [own]
    declared = next((asset.offset for asset in assets if asset.offset is not None), None)
    since = None if scene.baseline is None else scene.baseline >= "04.00"
    says_held = _said(scene.applied, declared)

    def decision(added: int, reason: str, *, doubtful: bool = False) -> OffsetDecision:
        return OffsetDecision(added, reason, scene.baseline, scene.applied, declared, darkest, doubtful)

    if darkest is not None and darkest < DARK:
        claims = says_held if says_held is not None else since
        return decision(
            0, "its darkest pixels hold no offset", doubtful=claims is True and scene.applied is not True
        )
    if since is False:
        return decision(0, "processed before baseline 04.00", doubtful=says_held is True)
    if says_held is not None:
        agrees = scene.applied is None or declared is None or (declared < 0) != scene.applied
        if agrees or darkest is None or darkest > BRIGHT:
            return decision(
                -OFFSET if says_held else 0,
                "the catalog declares an offset" if says_held else "the catalog says that it is applied",
                doubtful=not agrees,
            )
        return decision(
            -OFFSET,
            "its darkest pixels hold the offset, although the catalog contradicts itself",
            doubtful=True,
        )
    if since:
        return decision(
            -OFFSET,
            "baseline 04.00 or later, and nothing says that the offset is applied",
            doubtful=darkest is None,
        )
    return decision(
        0, "neither a baseline nor an offset is known", doubtful=darkest is None or darkest >= DARK
    )


def _said(applied: bool | None, declared: float | None) -> bool | None:
    """Whether a catalog says that numbers still hold the offset; an offset of a band counts more than a flag."""
    if declared is not None and declared < 0:
        return True
    if applied is not None:
        return not applied
    return None if declared is None else False
