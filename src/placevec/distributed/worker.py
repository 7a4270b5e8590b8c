"""What runs in a process of a Ray cluster: it opens its work once, then makes one part after another."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placevec._version import __version__
from placevec.distributed.executors import Maker
from placevec.errors import PlacevecError
from placevec.io.progress import no_advance


@dataclass(frozen=True)
class Outcome:
    """What became of a call; errors travel as text, because not every exception survives pickling.

    Attributes:
        result: of the part; of opening, (machine, process).
        problem: one line; empty if it went well.
        repeats: whether another attempt would end in the same way, as for a damaged file.
    """

    result: Any = None
    problem: str = ""
    repeats: bool = False


class Worker:
    """Makes parts, in a process of its own.

    >>> worker = Worker()
    >>> worker.open(__version__, lambda: lambda content, advance: 10 / content).problem
    ''
    >>> worker.make(4).result, worker.make(0).problem.split(":")[0]
    (2.5, 'ZeroDivisionError')
    """

    def open(self, version: str, elsewhere: Callable[[], Maker]) -> Outcome:
        """Open the work; ``version`` of placevec is that of the process which asks for it."""
        machine = os.uname().nodename
        if version != __version__:
            return Outcome(
                problem=f"{machine} has placevec {__version__}, but this process {version}: install one version on "
                "all machines",
                repeats=True,
            )
        opened = _attempted(elsewhere)
        self._make = opened.result
        return opened if opened.problem else Outcome((machine, os.getpid()))

    def make(self, content: Any) -> Outcome:
        """Make a part."""
        return _attempted(lambda: self._make(content, no_advance))


def _attempted(call: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(call())
    except PlacevecError as error:
        return Outcome(problem=f"{error} (on {os.uname().nodename})", repeats=True)
    except Exception as error:  # a network disk, memory: another attempt, perhaps elsewhere, may succeed
        return Outcome(problem=f"{type(error).__name__}: {error} (on {os.uname().nodename})")
