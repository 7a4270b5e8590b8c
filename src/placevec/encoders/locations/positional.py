"""The base class of positional features: degrees in, float64 features out, and where they are continuous."""

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
"""Mean radius of the Earth in km, (2a + b) / 3 of WGS84."""

CIRCUMFERENCE_KM = 2 * math.pi * EARTH_RADIUS_KM


class Positional(nn.Module):
    """Base class of positional features, the input of the network.

    Attributes:
        dim: number of features.
        antimeridian: whether 180 and -180 degrees of longitude have the same features.
        poles: whether at each pole all longitudes have the same features.
        scratch: scratch values per point that `fill` needs.

    ``forward(lon, lat)`` takes two float64 tensors of the same shape (...) in degrees and returns (..., dim) float64. It
    does not check its input, does not modify it, is differentiable in both and can be compiled.
    """

    dim: int
    scratch: int = 0
    antimeridian: bool = True
    poles: bool = True

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write the features of (N,) points to ``table``, (N, dim) and contiguous, without gradients.

        ``scratch`` is an uninitialized (N, self.scratch) buffer: allocating memory for each part would take longer
        than computing the sines.
        """
        table.copy_(self(lon, lat))

    def scales_km(self) -> Sequence[tuple[str, float]]:
        """The name of each scale, in the order of the features, and its wavelength or width in km."""
        return ()


AT_ONCE = 1024
"""Points per batch of `fill` on a CPU; with smaller batches, threads mostly wait for Python's global lock."""


class _Threads:
    """A persistent pool of as many threads as torch has; starting one takes longer than a thousand points."""

    def __init__(self) -> None:
        self.forget()
        self._forked = False

    def forget(self) -> None:
        """Reset after a fork, where other threads do not exist and a lock they held would stay locked."""
        self._lock, self._count, self._forked = Lock(), 0, True
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[int], None], times: int) -> None:
        """Run ``work(0)`` to ``work(times - 1)`` and wait for all; raises the first error."""
        with self._lock:  # the pool cannot be replaced meanwhile; submitted work is still finished
            count = torch.get_num_threads()
            if self._forked:
                # after a fork torch restarts its own pool, which fails if two threads trigger it at once
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
    """(N, dim) float64 features of (N,) points on a CPU, without gradients, computed in small parts by several threads.

    Torch's own threads would synchronize after every operation; here each thread computes its parts independently. The
    table is allocated by numpy, which requests huge pages: otherwise page faults take longer than the features.
    """
    table = torch.from_numpy(np.empty((len(lon), positional.dim)))
    starts = range(0, len(lon), AT_ONCE)
    workers = min(torch.get_num_threads(), len(starts))

    mode = torch.is_inference_mode_enabled()  # other threads do not inherit it

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
    """Degrees converted to radians."""
    return torch.deg2rad(lon), torch.deg2rad(lat)


def unit_xyz(lon: Tensor, lat: Tensor) -> Tensor:
    """(..., 3): points on the unit sphere of lon, lat in degrees.

    >>> unit_xyz(torch.tensor([0.0, 90.0]), torch.tensor([0.0, 0.0])).round().abs().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    lam, phi = radians(lon, lat)
    return torch.stack((phi.cos() * lam.cos(), phi.cos() * lam.sin(), phi.sin()), dim=-1)


def fibonacci(count: int) -> Tensor:
    """(count, 3) float64: points spread evenly over the sphere, each representing almost the same area.

    Fibonacci lattice: equal steps in the sine of latitude, the golden angle in longitude (Gonzalez 2010,
    doi:10.1007/s11004-009-9257-x).

    >>> fibonacci(1000).mean(0).abs().max() < 1e-3
    tensor(True)
    """
    steps = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * steps / count
    turn = steps * (math.pi * (3 - math.sqrt(5)))
    flat = (1 - z * z).sqrt()
    return torch.stack((flat * turn.cos(), flat * turn.sin(), z), dim=-1)
