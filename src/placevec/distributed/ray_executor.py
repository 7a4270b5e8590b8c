"""Parts made by workers (actors) of a Ray cluster; workers and machines that die are replaced, their parts repeated.

Ray only carries what is to be made and whether it was: parts go to the job's folder, which every machine of the
cluster must see at the same path. A worker that is taken for dead, and is not, writes the same bytes again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from placevec._version import __version__
from placevec.distributed.executors import Part, Work
from placevec.distributed.worker import Outcome, Worker
from placevec.errors import MissingExtraError, PlacevecError, UsageError
from placevec.io.progress import Advance, Progress

RETRIES = 3
"""How often a part is tried again after its worker died, or failed for a reason that may pass."""
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 20.0
"""After so long without any worker, a note says what the cluster has."""
_REACH_SECONDS = 10.0
_OBJECTS_BYTES = 200_000_000
"""Memory that Ray shares between the processes of this machine; parts do not pass through it."""
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray sends no statistics of its use, and hides no GPU from workers that ask for none."""


@contextlib.contextmanager
def on_ray(
    address: str | None, workers: int | None, gpus: float, progress: Progress
) -> Iterator[RayExecutor]:
    """An executor on a cluster: that at an address, the one this process is connected to, or a new one of this machine.

    No dashboard is started, and a cluster of this machine listens on loopback only. At the end the workers are ended,
    and so is the cluster if it was started here.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: an address, although this process is connected to a cluster.
        PlacevecError: the cluster cannot be reached, or has not a single CPU.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "scale") from None
    with contextlib.ExitStack() as stack:
        if ray.is_initialized():
            if address is not None:
                raise UsageError(
                    "this process is already connected to a Ray cluster: leave out --address, or disconnect with "
                    "ray.shutdown()"
                )
        else:
            stack.enter_context(_connected(ray, address, workers))
        executor = RayExecutor(ray, workers or _fitting(ray, gpus), gpus, progress)
        stack.callback(executor.close)
        yield executor


@contextlib.contextmanager
def _connected(ray: Any, address: str | None, workers: int | None) -> Iterator[None]:
    """A connection to a cluster, or a cluster of this machine, in a temporary folder."""
    _check_reachable(address)
    quiet: dict[str, Any] = {
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
    }
    folder = None
    if address is None:
        usual = tempfile.gettempdir()  # sockets below it: their paths must be shorter than 104 bytes
        folder = tempfile.mkdtemp(prefix="placevec-ray-", dir=usual if len(usual) < 24 else "/tmp")
        cpus = workers or _own_cpus()
        quiet |= {
            "num_cpus": cpus, "object_store_memory": _OBJECTS_BYTES, "_temp_dir": folder,
            "_node_ip_address": "127.0.0.1",
        }  # fmt: skip
    try:
        with _signals_kept(), _environment(), _on_loopback() if address is None else contextlib.nullcontext():
            ray.init(address=address or "local", **quiet)
        if address is None:
            _check_on_loopback(ray)
        with _own_lines_only():
            yield
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if ray.is_initialized():
            raise
        where = "a Ray cluster on this machine" if address is None else f"the Ray cluster at {address}"
        raise PlacevecError(f"cannot {'start' if address is None else 'reach'} {where}: {error}") from error
    finally:
        with _signals_kept():
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _own_cpus() -> int:
    """CPUs that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _check_reachable(address: str | None) -> None:
    """PlacevecError if nothing answers at host:port; Ray itself waits for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise PlacevecError(
            f"cannot reach the Ray cluster at {address}: {error}; start one with: ray start --head"
        ) from error


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray listens on all interfaces, for anybody, where it supports clusters; elsewhere, as on macOS, on loopback."""
    try:
        from ray._private import ray_constants as constants

        before = constants.ENABLE_RAY_CLUSTER
    except (ImportError, AttributeError):  # `_check_on_loopback` finds out
        yield
        return
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _check_on_loopback(ray: Any) -> None:
    """PlacevecError if other machines can reach a cluster that was started here."""
    found = str(ray.get_runtime_context().gcs_address)
    if not found.startswith(("127.", "localhost:", "[::1]")):
        raise PlacevecError(
            f"Ray {ray.__version__} listens on {found}, where others could use it: start a cluster yourself on a "
            f"safe network, and give its --address"
        )


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; here it must go on to do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _own_lines_only() -> Iterator[None]:
    """Ray prints a paragraph on standard output for every worker that dies, which may be JSON; here they are counted."""
    try:
        from ray._private import worker as printing

        before = printing.print_to_stdstream
    except (ImportError, AttributeError):  # another version of Ray may print elsewhere
        yield
        return
    printing.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        printing.print_to_stdstream = before


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Ray reads these settings while it starts; those of the user's own environment count."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _fitting(ray: Any, gpus: float) -> int:
    """Number of workers that the cluster has room for, one CPU and ``gpus`` GPUs each."""
    found = ray.cluster_resources()
    count = int(found.get("CPU", 0))
    if gpus:
        count = min(count, int(found.get("GPU", 0) / gpus + 1e-9))
    if count < 1:
        wanted = "CPU" if not gpus else f"CPU with {gpus:g} GPUs"
        raise PlacevecError(
            f"the Ray cluster has no {wanted} for a worker; if machines are about to join it, give --workers N"
        )
    return count


class RayExecutor:
    """Makes parts by workers, which stay from one call of `run` to the next; see `on_ray`.

    Attributes:
        workers: number of them, at most; those for which the cluster has no room yet are waited for.
        found: (machine, process) of each that has started.
        died: number of those that have died.
    """

    def __init__(self, ray: Any, workers: int, gpus: float, progress: Progress) -> None:
        self.workers, self.found, self.died = workers, list[tuple[str, int]](), 0
        self._ray, self._progress = ray, progress
        self._class = ray.remote(Worker).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        self._actors: list[Any] = []

    def close(self) -> None:
        """End the workers."""
        for actor in self._actors:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        self._actors.clear()

    def run(self, work: Work, parts: Sequence[Part], advance: Advance) -> Iterator[tuple[Part, Any]]:
        """See `Executor.run`; PlacevecError also if a part, or every start of a worker, fails `RETRIES` times more."""
        if not parts:
            return
        before = self.died
        state = _Run(deque(parts), len(parts), self._ray.put(work.elsewhere()))
        try:
            for actor in self._actors:
                self._open(actor, state)
            self._hire(state)
            while state.left:
                for call in self._answered(state):
                    actor, part = state.calls.pop(call)
                    outcome = self._outcome(call, actor)
                    if outcome.problem:
                        _count_failure(part, outcome, state)
                    elif part is None:
                        state.starts, state.working = 0, True
                        self.found.append(outcome.result)
                    else:
                        state.left -= 1
                        advance(part.steps)
                        yield part, outcome.result
                    if actor not in self._actors:
                        self._hire(state)
                    elif part is None and outcome.problem:
                        self._open(actor, state)
                    else:
                        state.idle.append(actor)
                while state.queue and state.idle:
                    actor, part = state.idle.pop(), state.queue.popleft()
                    state.calls[actor.make.remote(part.content)] = actor, part
            if lost := self.died - before:
                self._progress.say(
                    f"Note: {lost} {'worker' if lost == 1 else 'workers'} died; lost work was redone by others"
                )
        finally:
            for actor, part in state.calls.values():
                if (
                    part is not None
                ):  # it would go on with what nobody waits for; those that start stay for the next run
                    self._dismiss(actor)

    def _hire(self, state: _Run) -> None:
        """Start workers, as many as there are parts to be made."""
        while len(self._actors) < min(self.workers, state.left):
            actor = self._class.remote()
            self._actors.append(actor)
            self._open(actor, state)

    def _open(self, actor: Any, state: _Run) -> None:
        state.calls[actor.open.remote(__version__, state.work)] = actor, None

    def _dismiss(self, actor: Any) -> None:
        if actor in self._actors:
            self._actors.remove(actor)
        with contextlib.suppress(Exception):
            self._ray.kill(actor)

    def _answered(self, state: _Run) -> list[Any]:
        """Calls that have ended; says so once if no worker starts."""
        found, _ = self._ray.wait(list(state.calls), timeout=_POLL_SECONDS)
        if not found and not state.working and time.monotonic() - state.since > _PATIENCE_SECONDS:
            state.since = float("inf")
            free, whole = self._ray.available_resources(), self._ray.cluster_resources()
            self._progress.say(
                f"Note: no worker has started yet: {free.get('CPU', 0):g} of {whole.get('CPU', 0):g} CPUs and "
                f"{free.get('GPU', 0):g} of {whole.get('GPU', 0):g} GPUs of the cluster are free"
            )
        return list(found)

    def _outcome(self, call: Any, actor: Any) -> Outcome:
        """The answer to a call; of a worker that died, why."""
        try:
            outcome: Outcome = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:  # what was sent cannot be read there
            return Outcome(problem=str(error.cause or error).strip().splitlines()[-1], repeats=True)
        except self._ray.exceptions.RayError as error:
            self._dismiss(actor)
            self.died += 1
            return Outcome(problem=f"its worker died ({_reason(error)})")
        return outcome


@dataclass
class _Run:
    """One call of `RayExecutor.run`.

    Attributes:
        queue: parts that no worker has.
        left: number of parts that are not made yet.
        work: reference to the work that workers open.
        calls: reference to an answer -> worker, and the part it makes; None while it opens its work.
        idle: workers that have nothing to do.
        starts: workers that failed to start, one after another.
        working: whether any has started.
        since: when it began, seconds.
        tries: part -> how often it failed.
    """

    queue: deque[Part]
    left: int
    work: Any
    calls: dict[Any, tuple[Any, Part | None]] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    starts: int = 0
    working: bool = False
    since: float = field(default_factory=time.monotonic)
    tries: Counter[str] = field(default_factory=Counter)


def _count_failure(part: Part | None, outcome: Outcome, state: _Run) -> None:
    """Put a part back; PlacevecError if another attempt would be of no use."""
    if outcome.repeats:
        raise PlacevecError(outcome.problem)
    if part is None:
        state.starts += 1
        if state.starts > RETRIES:
            raise PlacevecError(f"{state.starts} workers in a row failed to start: {outcome.problem}")
        return
    state.tries[part.name] += 1
    if state.tries[part.name] > RETRIES:
        raise PlacevecError(
            f"{part.name} failed {state.tries[part.name]} times, the last time because {outcome.problem}; finished "
            f"parts are "
            "kept: run the same command again"
        )
    state.queue.appendleft(part)


def _reason(error: Exception) -> str:
    """Why a worker died, in the words of Ray, which take many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "cause" in line.lower() or "reason" in line.lower()), lines[-1])
    return told[:200]
