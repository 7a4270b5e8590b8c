"""What all positional features share: degrees in, float64 numbers out, and what is known of their continuity."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth, (2a + b) / 3 of WGS84."""

CIRCUMFERENCE_KM = 2 * math.pi * EARTH_RADIUS_KM


class Positional(nn.Module):
    """Numbers of a position, before any network.

    Attributes:
        dim: numbers of a position.
        antimeridian: 180 and -180 degrees of longitude have the same features.
        poles: at +90 and at -90 degrees of latitude all longitudes have the same features.
        scratch: numbers a point that `fill` works with.

    ``forward(lon, lat)`` takes two float64 tensors of one shape (...) in degrees and returns (..., dim) float64. It
    checks nothing, changes nothing in place, and can be differentiated in both and compiled.
    """

    dim: int
    scratch: int = 0
    antimeridian: bool = True
    poles: bool = True

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write the features of (N,) points into ``table``, (N, dim) and contiguous, without a derivative.

        ``scratch`` is (N, self.scratch), of any content: fresh memory for each part would cost more than the sines.
        """
        table.copy_(self(lon, lat))

    def scales_km(self) -> Sequence[tuple[str, float]]:
        """What each scale is called, in the order of the features, and its wavelength or width on the ground in km."""
        return ()


AT_ONCE = 1024
"""Points whose features are worked out at once on a CPU: with fewer, threads mostly wait for Python's lock."""


class _Threads:
    """As many threads as torch has, kept: to set up one takes longer than the features of a thousand points."""

    def __init__(self) -> None:
        self.forget()
        self._forked = False

    def forget(self) -> None:
        """A fork has no threads but its own, and a lock that another thread held would stay locked in it."""
        self._lock, self._count, self._forked = Lock(), 0, True
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[int], None], times: int) -> None:
        """``work(0)`` to ``work(times - 1)``, all done on return; the first error of them is raised."""
        with self._lock:  # nobody ends the pool between these lines; what it has taken on it finishes
            count = torch.get_num_threads()
            if self._forked:
                # torch makes its own pool anew there, and fails where two threads are the first to ask for it
                torch.set_num_threads(count)
                self._forked = False
            if self._pool is None or count != self._count:
                if self._pool is not None:
                    self._pool.shutdown(wait=False)
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="location-features")
                self._count = count
            running = [self._pool.submit(work, number) for number in range(times)]
        for done in running:
            done.result()


_THREADS = _Threads()
os.register_at_fork(after_in_child=_THREADS.forget)


def table_of(positional: Positional, lon: Tensor, lat: Tensor) -> Tensor:
    """(N, dim) float64 features of (N,) points on a CPU, without a derivative: in small parts, on torch's threads.

    Torch's own threads would meet after every sine; here each works out its parts by itself. The table is numpy's, which
    asks the system for large pages: otherwise the first touch of its pages takes longer than the features.
    """
    table = torch.from_numpy(np.empty((len(lon), positional.dim)))
    starts = range(0, len(lon), AT_ONCE)
    workers = min(torch.get_num_threads(), len(starts))

    mode = torch.is_inference_mode_enabled()  # a thread of its own would not know

    def work(worker: int) -> None:
        with torch.inference_mode(mode), torch.no_grad():
            scratch = torch.empty(AT_ONCE, positional.scratch, dtype=torch.float64)
            for start in starts[worker::workers]:
                part = slice(start, start + AT_ONCE)
                positional.fill(table[part], lon[part], lat[part], scratch[: len(lon[part])])

    if workers == 1:
        work(0)
        return table
    _THREADS.run(work, workers)
    return table


def radians(lon: Tensor, lat: Tensor) -> tuple[Tensor, Tensor]:
    """Degrees as radians."""
    return torch.deg2rad(lon), torch.deg2rad(lat)


def unit_xyz(lon: Tensor, lat: Tensor) -> Tensor:
    """(..., 3): the point on the unit sphere of a longitude and latitude in degrees.

    >>> unit_xyz(torch.tensor([0.0, 90.0]), torch.tensor([0.0, 0.0])).round().abs().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    lam, phi = radians(lon, lat)
    return torch.stack((phi.cos() * lam.cos(), phi.cos() * lam.sin(), phi.sin()), dim=-1)


def fibonacci(count: int) -> Tensor:
    """(count, 3) float64: points spread evenly over the sphere, each with as good as the same area around it.

    The Fibonacci lattice: equal steps in sine of latitude, the golden angle in longitude (Gonzalez 2010,
    doi:10.1007/s11004-009-9257-x).

    >>> fibonacci(1000).mean(0).abs().max() < 1e-3
    tensor(True)
    """
    steps = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * steps / count
    turn = steps * (math.pi * (3 - math.sqrt(5)))
    flat = (1 - z * z).sqrt()
    return torch.stack((flat * turn.cos(), flat * turn.sin(), z), dim=-1)
