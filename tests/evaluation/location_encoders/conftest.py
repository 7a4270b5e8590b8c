"""Baselines of few trees and places: these tests ask how results are made and kept, not how good they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from placevec.evaluation import point_baselines
from placevec.evaluation.probes import Effort


@pytest.fixture(autouse=True, scope="package")
def little_effort() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_baselines, "EFFORT", Effort(trees=5, process_places=60))
        yield
