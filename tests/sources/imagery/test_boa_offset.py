"""The offset of baseline 04.00: what was said of scenes in the wild, and what their pixels say."""

from __future__ import annotations

import pytest

from placevec.sources.imagery.boa_offset import decide_offset
from placevec.sources.imagery.scenes import Asset, Scene


def scene(baseline: str | None, applied: bool | None, offset: float | None) -> Scene:
    bands = {"B04": Asset("a.tif", offset=offset)}
    return Scene(
        "a", "35VLG", "2021-07-01T00:00:00Z", (0, 0, 1, 1), bands, None, 0.0, baseline, applied, "l2a"
    )


@pytest.mark.parametrize(
    ("baseline", "applied", "offset", "darkest", "added", "doubtful"),
    [
        # as published: raw numbers, and everything says so
        ("05.09", False, -0.1, 1100.0, -1000, False),
        ("05.09", None, -0.1, 1100.0, -1000, False),
        # harmonized numbers, and everything says so
        ("05.09", True, 0.0, 200.0, 0, False),
        ("05.09", True, None, 200.0, 0, False),
        # Earth Search #66 and #71: the flag is false where the offset was applied
        ("05.09", False, None, 200.0, 0, True),
        ("05.09", False, -0.1, 200.0, 0, True),
        # the offset is declared though it was applied: its pixels decide
        ("05.09", True, -0.1, 200.0, 0, False),
        ("05.09", True, -0.1, 1100.0, -1000, True),
        # a bright scene tells nothing: the declared offset counts more than the flag
        ("05.09", True, -0.1, 4000.0, -1000, True),
        ("05.09", False, -0.1, 4000.0, -1000, False),
        ("05.09", True, None, 4000.0, 0, False),
        # Collection 1 processed 2021 again: the date does not tell, the baseline does
        ("05.00", None, None, 1100.0, -1000, False),
        # before 04.00 nothing was added, whatever the pixels are
        ("03.01", None, None, 1100.0, 0, False),
        ("02.14", None, None, 300.0, 0, False),
        # nothing is known: nothing is removed, and that is said
        (None, None, None, 1100.0, 0, True),
        (None, None, None, 300.0, 0, False),
        (None, None, -0.1, 1100.0, -1000, False),
        ("05.09", None, None, None, -1000, True),
    ],
)  # fmt: skip
def test_flag_baseline_declared_offset_and_darkest_pixels(
    baseline: str | None,
    applied: bool | None,
    offset: float | None,
    darkest: float | None,
    added: int,
    doubtful: bool,
) -> None:
    found = decide_offset(scene(baseline, applied, offset), darkest)
    assert (found.added, found.doubtful) == (added, doubtful), found.reason
    assert (found.baseline, found.flag, found.declared, found.darkest) == (baseline, applied, offset, darkest)
