"""Memory that preparing takes: Malta, and a hundred copies of it side by side. Takes a quarter of an hour.

``python -m benchmarks memory``; not part of ``make bench``. ``PLACEVEC_COPIES`` says how many copies, 100 if unset.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.burn import cold
from benchmarks.copies import write_copies
from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row


def rows() -> list[Row]:
    """Peak resident memory, mapped files included, of both."""
    source = extract("malta") or embedded()
    name = source.name.removesuffix(".osm.pbf")
    copies = int(os.environ.get("PLACEVEC_COPIES", "100"))
    with tempfile.TemporaryDirectory() as folder:
        once = cold(source, Path(folder) / "python")
        large = Path(folder) / "copies.osm.pbf"
        write_copies(source, large, copies)
        many = cold(large, Path(folder) / "python")
        size = large.stat().st_size / 1e6
    counted = "peak resident memory, mapped files included, zoom 17, one process"
    limit, seconds = 600.0, f"{once.seconds:.0f} s"
    return [
        Row(
            f"memory to prepare {name}", once.peak_mb, limit, "MB", "the target",
            limit / once.peak_mb, seconds, counted,
        ),
        Row(
            f"memory to prepare {copies} of {name}", many.peak_mb, once.peak_mb, "MB", "one of it",
            once.peak_mb / many.peak_mb, f"{many.seconds:.0f} s", f"{counted}; an extract of {size:.0f} MB",
        ),
    ]  # fmt: skip
