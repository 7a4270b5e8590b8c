"""Work that ends its process; light to import, because processes do."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from placevec.distributed.executors import Maker


def dies(content: Any, advance: Any) -> None:
    os.abort()


def to_die() -> Maker:
    return dies


class Dying:
    """Work of processes that die."""

    def make(self, content: Any, advance: Any) -> None:
        raise AssertionError("not in this process")

    def elsewhere(self) -> Callable[[], Maker]:
        return to_die
