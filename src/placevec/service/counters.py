"""Numbers of a service in the text format of Prometheus, summed over its worker processes.

Each worker counts in a file of its own, mapped into memory; who asks one worker gets the sums of all. The file of a
worker that died stays, so that no counter ever falls.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4).
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROUTES = ("embed", "similar", "tiles", "places", "health", "metrics", "page", "words", "openapi", "other")
STATUSES = (200, 304, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503)
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of a request's duration, seconds."""
KINDS = {
    "batches": "Calls to the model for points and texts",
    "embedded": "Points, places, texts and images that were embedded",
    "reloads": "Models and vectors that replaced earlier ones",
    "failed_reloads": "Changed files that could not be used",
}
"""Further counters and their meaning."""
_REQUESTS = len(ROUTES) * len(STATUSES)
_BUCKETS = len(ROUTES) * (len(BOUNDS) + 1)
_SIZE = _REQUESTS + _BUCKETS + len(ROUTES) + len(KINDS)


class Counters:
    """The numbers of this process, and the sums of all.

    Args:
        folder: shared by all workers; None counts in memory only.

    >>> counters = Counters()
    >>> counters.request("similar", 200, 0.004)
    >>> [line for line in counters.text([]).splitlines() if line.startswith("placevec_requests_total{")]
    ['placevec_requests_total{route="similar",status="200"} 1']
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder else None
        self._own: NDArray[np.float64] = np.zeros(_SIZE)
        if self.folder is not None:
            path = self.folder / f"{os.getpid()}-{os.urandom(4).hex()}.counters"
            self._own = np.asarray(np.memmap(path, np.float64, "w+", shape=(_SIZE,)))  # quicker to index

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        at = ROUTES.index(route)
        status = status if status in STATUSES else 500 if status >= 500 else 400
        self._own[at * len(STATUSES) + STATUSES.index(status)] += 1
        bucket = bisect.bisect_left(BOUNDS, seconds)
        self._own[_REQUESTS + at * (len(BOUNDS) + 1) + bucket] += 1
        self._own[_REQUESTS + _BUCKETS + at] += seconds

    def add(self, kind: str, count: int = 1) -> None:
        """Add to one of `KINDS`."""
        self._own[_REQUESTS + _BUCKETS + len(ROUTES) + list(KINDS).index(kind)] += count

    def sums(self) -> NDArray[np.float64]:
        """The numbers of all processes."""
        if self.folder is None:
            return self._own
        total = np.zeros(_SIZE)
        for path in sorted(self.folder.glob("*.counters")):
            part = np.fromfile(path, np.float64)
            if len(part) == _SIZE:  # else it is being made
                total += part
        return total

    def text(self, gauges: Iterable[tuple[str, str, str, float]]) -> str:
        """All numbers, and gauges of (name, meaning, labels, value)."""
        sums = self.sums()
        requests = sums[:_REQUESTS].reshape(len(ROUTES), -1)
        buckets = sums[_REQUESTS : _REQUESTS + _BUCKETS].reshape(len(ROUTES), -1)
        seconds = sums[_REQUESTS + _BUCKETS :]
        lines = _head("requests_total", "counter", "Requests that were answered")
        for route, counts in zip(ROUTES, requests, strict=True):
            for status, count in zip(STATUSES, counts, strict=True):
                if count:
                    lines.append(
                        f'placevec_requests_total{{route="{route}",status="{status}"}} {_number(count)}'
                    )
        lines += _head("request_seconds", "histogram", "Time from a request's head to the end of its answer")
        for number, (route, counts) in enumerate(zip(ROUTES, buckets, strict=True)):
            if not counts.any():
                continue
            for bound, count in zip((*BOUNDS, "+Inf"), counts.cumsum(), strict=True):
                lines.append(
                    f'placevec_request_seconds_bucket{{route="{route}",le="{bound}"}} {_number(count)}'
                )
            lines.append(f'placevec_request_seconds_sum{{route="{route}"}} {_number(seconds[number])}')
            lines.append(f'placevec_request_seconds_count{{route="{route}"}} {_number(counts.sum())}')
        for number, (kind, meaning) in enumerate(KINDS.items()):
            lines += _head(f"{kind}_total", "counter", meaning)
            lines.append(f"placevec_{kind}_total {_number(seconds[len(ROUTES) + number])}")
        for name, meaning, labels, value in gauges:
            head = _head(name, "gauge", meaning)
            lines += head if head[0] not in lines else []
            lines.append(f"placevec_{name}{labels} {_number(value)}")
        return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """A text as the value of a label.

    >>> print(label('a "b"'))
    "a \\"b\\""
    """
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{plain}"'


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP placevec_{name} {meaning}", f"# TYPE placevec_{name} {kind}"]


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.9g}"
