"""The engine that a user chooses, with ``--engine``, ``--address``, ``--workers`` and ``--gpus``, as an executor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from placevec.distributed.executors import IN_THIS_PROCESS, Executor, Processes
from placevec.errors import UsageError
from placevec.io.progress import Progress
from placevec.options.choices import EngineName

RAY = "ray"


@dataclass(frozen=True)
class Engine:
    """Where the parts of a job are made; may be made, compared and passed on without loading Ray.

    Attributes:
        name: ``local`` or ``ray``.
        address: of the head of a Ray cluster that runs; without one, Ray runs on this machine while it is needed.
        workers: number of processes; by default one, this one, and with Ray as many as the cluster has CPUs.
        gpus: that each worker of a Ray cluster takes; may be a part of one.

    >>> from placevec.io.progress import SILENT
    >>> with Engine().opened(SILENT) as executor:
    ...     type(executor).__name__
    'InThisProcess'
    >>> Engine(address="10.0.0.1:6379")
    Traceback (most recent call last):
        ...
    placevec.errors.UsageError: --address applies to --engine ray
    """

    name: EngineName = "local"
    address: str | None = None
    workers: int | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        for flag, given in (("--address", self.address is not None), ("--gpus", self.gpus > 0)):
            if given and not self.is_ray:
                raise UsageError(f"{flag} applies to --engine ray")

    @property
    def is_ray(self) -> bool:
        """Whether parts are made by workers of a Ray cluster.

        >>> Engine("ray").is_ray, Engine(workers=4).is_ray
        (True, False)
        """
        return self.name == RAY

    @property
    def in_this_process(self) -> bool:
        """Whether this process makes all parts.

        >>> Engine().in_this_process, Engine(workers=4).in_this_process
        (True, False)
        """
        return not self.is_ray and self.workers in (None, 1)

    @contextlib.contextmanager
    def opened(self, progress: Progress) -> Iterator[Executor]:
        """The executor; its workers end with the block, however that ends.

        Raises:
            MissingExtraError: Ray is not installed.
            PlacevecError: the cluster cannot be reached, or has nothing to work with.
        """
        if self.in_this_process:
            yield IN_THIS_PROCESS
        elif not self.is_ray:
            yield Processes(self.workers or 1)
        else:
            from placevec.distributed.ray_executor import on_ray

            with on_ray(self.address, self.workers, self.gpus, progress) as executor:
                yield executor


LOCAL = Engine()
