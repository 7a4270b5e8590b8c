"""A Ray of one process, whose workers die where a test wants it; the names are those that placevec uses of Ray's."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's."""

    cause = None


class Call:
    """An answer that is not there yet."""

    def __init__(self, actor: Actor, method: str, arguments: tuple[Any, ...]) -> None:
        self.actor, self.method, self.arguments = actor, method, arguments


class Actor:
    """A worker: its calls are made when somebody waits for them."""

    def __init__(self, made: Any, number: int) -> None:
        self.made, self.number, self.is_dead = made, number, False
        self.open = SimpleNamespace(remote=lambda *given: Call(self, "open", given))
        self.make = SimpleNamespace(remote=lambda *given: Call(self, "make", given))


class PretendedRay:
    """What placevec uses of the module ``ray``.

    Args:
        dies: (actor, method, arguments) -> whether the worker dies in this call.
        waits: actor -> whether the cluster never has room for it.
        seed: of the order in which calls end.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(
        self,
        dies: Callable[[Actor, str, tuple[Any, ...]], bool] = lambda *_: False,
        waits: Callable[[Actor], bool] = lambda _: False,
        cpus: int = 3,
        seed: int = 0,
    ) -> None:
        self.dies, self.waits, self.cpus, self.actors = dies, waits, cpus, list[Actor]()
        self.order, self.killed, self.options_given = random.Random(seed), list[Actor](), dict[str, Any]()

    def remote(self, made: type) -> Any:
        def start() -> Actor:
            self.actors.append(Actor(made(), len(self.actors)))
            return self.actors[-1]

        def options(**given: Any) -> Any:
            self.options_given = given
            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def put(self, content: Any) -> Any:
        return content

    def wait(self, calls: Sequence[Call], *, timeout: float) -> tuple[list[Call], list[Call]]:
        ready = [call for call in calls if not self.waits(call.actor)]
        chosen = self.order.sample(ready, min(len(ready), self.order.randint(1, 2)))
        return chosen, [call for call in calls if call not in chosen]

    def get(self, call: Call) -> Any:
        if call.actor.is_dead or self.dies(call.actor, call.method, call.arguments):
            call.actor.is_dead = True
            raise RayError("The actor died unexpectedly.\n\tThe actor died because its reason was a test.")
        return getattr(call.actor.made, call.method)(*call.arguments)

    def kill(self, actor: Actor) -> None:
        actor.is_dead = True
        self.killed.append(actor)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus), "GPU": 1.0}

    available_resources = cluster_resources
