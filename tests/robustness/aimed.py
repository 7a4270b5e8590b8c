"""Kills of a command at a chosen call instead of a chosen second: while it draws, while it writes, while it renames.

A command first runs once to count the calls of each kind. Then its process group is killed just before, or just after,
one of them, so that every kill hits.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "drawing": (
        ("placevec.preparation.rasterize.shard_job", "_wanted_tiles"),
        ("placevec.preparation.rasterize.shard_job", "_add_coverage"),
        ("placevec.preparation.rasterize.shard_job", "_compressed"),
    ),
    "writing": (
        ("placevec.geo.geotiff:GeoTiffWriter", "add_many"),
        ("placevec.geo.geotiff:GeoTiffWriter", "close"),
        ("placevec.io.parquet:ParquetWriter", "write_table"),
        ("placevec.io.parquet:ParquetWriter", "close"),
        ("os", "fsync"),
    ),
    "renaming": (
        ("os", "replace"),
        ("os", "rename"),
        ("shutil", "rmtree"),
        ("placevec.io.atomic", "_swap"),
    ),
}
"""Kind -> functions whose calls are counted: a module, or a class of one, and a name."""

Aim = tuple[str, int, bool]
"""(kind, number of its call, whether the call is finished before the kill)."""


def watch(aim: Aim | None) -> Counter[str]:
    """Count the calls of this process, and kill its group at the one that is aimed at."""
    counts: Counter[str] = Counter()
    for kind, places in KINDS.items():
        for where, name in places:
            module, _, inside = where.partition(":")
            owner: Any = importlib.import_module(module)
            owner = getattr(owner, inside) if inside else owner
            setattr(owner, name, _watched(getattr(owner, name), kind, counts, aim))
    return counts


def _watched(
    call: Callable[..., Any], kind: str, counts: Counter[str], aim: Aim | None
) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        counts[kind] += 1
        now = aim is not None and aim[:2] == (kind, counts[kind])
        if now and aim is not None and not aim[2]:
            os.killpg(0, signal.SIGKILL)
        found = call(*arguments, **options)
        if now:
            os.killpg(0, signal.SIGKILL)
        return found

    return wrapped
