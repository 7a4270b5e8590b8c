"""Parts made by workers that die. Oracle: the same parts made one after another in this process."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.datasets.dataset import Dataset
from placevec.distributed import ray_executor
from placevec.distributed.engine import Engine
from placevec.distributed.executors import IN_THIS_PROCESS, Maker, Part, Processes
from placevec.distributed.ray_executor import RETRIES, RayExecutor
from placevec.errors import DatasetError, MissingExtraError, ModelError, PlacevecError, UsageError
from placevec.inference.embed import embed_in_parts, inputs_of_parts
from placevec.io.jobs import opened
from placevec.io.progress import SILENT, Silent, no_advance
from placevec.models.model import Model
from tests.distributed.dying import Dying
from tests.distributed.pretended_ray import PretendedRay

PARTS = [Part(f"part-{number}", number, 2.0) for number in range(20)]


def squared(content: Any, advance: Any) -> int:
    return int(content) ** 2


@dataclass
class Working:
    """Work that opens nothing."""

    maker: Maker = squared

    def make(self, content: Any, advance: Any) -> Any:
        return self.maker(content, advance)

    def elsewhere(self) -> Callable[[], Maker]:
        return lambda: self.maker


def run(ray: PretendedRay, of: Working | None = None, workers: int = 3) -> dict[str, Any]:
    executor = RayExecutor(ray, workers, 0.0, SILENT)
    found = [(part.name, result) for part, result in executor.run(of or Working(), PARTS, no_advance)]
    assert len(found) == len(dict(found))  # each once
    return dict(found)


ALONE = {part.name: result for part, result in IN_THIS_PROCESS.run(Working(), PARTS, no_advance)}


@pytest.mark.parametrize("seed", range(5))
def test_workers_that_die_at_random_change_nothing(seed: int) -> None:
    """Ten of them, in the middle of parts and while they start; the bar ends where it should."""
    chance, deaths = random.Random(seed), []

    def dies(*_: Any) -> bool:
        if len(deaths) < 10 and chance.random() < 0.3:
            deaths.append(1)
            return True
        return False

    ray, steps = PretendedRay(dies, seed=seed), list[float]()
    executor = RayExecutor(ray, 3, 0.0, SILENT)
    found = executor.run(Working(), PARTS, lambda steps_done=1, note=None: steps.append(steps_done))
    assert {part.name: result for part, result in found} == ALONE
    assert sum(steps) == sum(part.steps for part in PARTS)
    assert executor.died == len(deaths) > 0
    executor.close()
    assert all(actor.is_dead for actor in ray.actors)


def test_a_part_that_kills_its_workers_is_named() -> None:
    ray = PretendedRay(lambda actor, method, given: method == "make" and given == (7,))
    with pytest.raises(
        PlacevecError, match=r"^part-7 failed 4 times, the last time because its worker died \(.*a test"
    ) as told:
        run(ray)
    assert "run the same command again" in str(told.value)
    assert len([actor for actor in ray.actors if actor.is_dead]) >= RETRIES + 1


def test_what_would_fail_again_is_not_tried_again() -> None:
    tried = []

    def damaged(content: Any, advance: Any) -> None:
        tried.append(content)
        raise DatasetError("map/1_2.tif is damaged")

    with pytest.raises(PlacevecError, match="is damaged"):
        run(PretendedRay(), Working(damaged))
    assert len(tried) == len(set(tried)) <= 3


def test_what_may_pass_is_tried_again() -> None:
    tried: list[int] = []

    def moody(content: Any, advance: Any) -> int:
        tried.append(content)
        if content == 3 and tried.count(3) <= RETRIES:
            raise OSError(5, "Input/output error")
        return squared(content, advance)

    assert run(PretendedRay(), Working(moody)) == ALONE
    with pytest.raises(PlacevecError, match="part-3 failed 4 times, the last time because OSError"):
        run(PretendedRay(), Working(broken_disk))


def broken_disk(content: Any, advance: Any) -> int:
    if content == 3:
        raise OSError(5, "Input/output error")
    return squared(content, advance)


def test_workers_that_never_start_are_waited_for_by_nobody() -> None:
    """The cluster has room for one worker of three."""
    ray = PretendedRay(waits=lambda actor: actor.number > 0)
    assert run(ray) == ALONE


def test_workers_that_cannot_start_end_the_job() -> None:
    with pytest.raises(PlacevecError, match="4 workers in a row failed to start: its worker died"):
        run(PretendedRay(lambda actor, method, given: method == "open"))


def test_the_user_is_told_when_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "_PATIENCE_SECONDS", -1.0)
    said, asked = [], []

    class Told(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    def waits(_: Any) -> bool:
        asked.append(1)
        return len(asked) < 30

    list(RayExecutor(PretendedRay(waits=waits), 3, 0.0, Told()).run(Working(), PARTS, no_advance))
    assert said == ["Note: no worker has started yet: 3 of 3 CPUs and 1 of 1 GPUs of the cluster are free"]


def test_another_version_of_placevec_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "__version__", "9.9")
    with pytest.raises(PlacevecError, match=r"has placevec .*, but this process 9\.9: install one version"):
        run(PretendedRay())


def test_an_interruption_ends_the_workers() -> None:
    """What they would go on with, nobody waits for."""
    ray, made = PretendedRay(), []
    executor = RayExecutor(ray, 3, 0.0, SILENT)
    with pytest.raises(KeyboardInterrupt):
        for part, _ in executor.run(Working(), PARTS, no_advance):
            made.append(part)
            if len(made) == 5:
                raise KeyboardInterrupt
    executor.close()
    assert all(actor.is_dead for actor in ray.actors)


def test_workers_stay_for_the_next_parts() -> None:
    ray = PretendedRay()
    executor = RayExecutor(ray, 2, 0.5, SILENT)
    for _ in range(3):
        assert {part.name: found for part, found in executor.run(Working(), PARTS, no_advance)} == ALONE
    assert len(ray.actors) == 2
    assert (ray.options_given["num_cpus"], ray.options_given["num_gpus"]) == (1, 0.5)


def test_as_many_workers_as_fit() -> None:
    assert ray_executor._fitting(PretendedRay(cpus=7), 0.0) == 7
    assert ray_executor._fitting(PretendedRay(cpus=7), 0.25) == 4  # one GPU
    with pytest.raises(PlacevecError, match="no CPU with 2 GPUs for a worker"):
        ray_executor._fitting(PretendedRay(), 2.0)


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r'pip install "placevec\[scale\]"'),
        Engine("ray").opened(SILENT),
    ):
        pass


def test_options_that_do_not_go_together(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    from placevec import api

    with pytest.raises(UsageError, match="--gpus applies to --engine ray"):
        Engine(workers=2, gpus=1)
    with pytest.raises(UsageError, match="set the argument out"):
        api.embed("base", helsinki_dataset, engine="ray")
    with pytest.raises(UsageError, match="--engine ray applies to drawing an extract"):
        api.prepare("loc2vec", tile_folder=tmp_path, out=tmp_path / "d", engine="ray")


def test_a_process_of_this_machine_that_dies_is_reported_in_one_line() -> None:
    with pytest.raises(PlacevecError, match="fewer --workers"):
        list(Processes(2).run(Dying(), PARTS[:2], no_advance))


@pytest.fixture
def embedded(
    helsinki_dataset: Dataset, helsinki_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Embeds the first places in parts of 16, by an executor."""
    monkeypatch.setattr("placevec.inference.embed.EMBED_PART", 16)
    model, rows = Model.load(helsinki_run), np.arange(min(len(helsinki_dataset), 100))

    def embed(executor: Any, out: str, of: Model = model) -> Any:
        inputs = inputs_of_parts(of, helsinki_dataset, ["map"], 8)
        with opened(tmp_path / out, inputs) as job:
            return embed_in_parts(of, helsinki_dataset, rows, ["map"], job, 8, SILENT, executor)["map"]

    return embed


def test_vectors_are_the_same_bit_by_bit_however_many_workers_die(embedded: Callable[..., Any]) -> None:
    """Workers open model and dataset anew; part 2 kills two of them, and one dies as it starts."""
    deaths = {("open", 1): 1, ("make", "part-000002"): 2}

    def dies(actor: Any, method: str, given: tuple[Any, ...]) -> bool:
        key = (method, actor.number if method == "open" else given[0].name)
        deaths[key] = deaths.get(key, 0) - 1
        return deaths[key] >= 0

    executor = RayExecutor(PretendedRay(dies), 3, 0.0, SILENT)
    assert embedded(executor, "ray.parquet").tobytes() == embedded(IN_THIS_PROCESS, "one.parquet").tobytes()
    assert executor.died == 3


def test_finished_parts_are_not_made_again(embedded: Callable[..., Any]) -> None:
    """A run stops after its third part; the next makes the other four."""

    class Stopping(RayExecutor):
        def run(self, *given: Any) -> Any:
            for number, found in enumerate(super().run(*given)):
                if number == 3:
                    raise KeyboardInterrupt
                yield found

    made: list[str] = []

    def counted(actor: Any, method: str, given: tuple[Any, ...]) -> bool:
        made.extend(given[0].name for _ in range(method == "make"))
        return False

    with pytest.raises(KeyboardInterrupt):
        embedded(Stopping(PretendedRay(counted), 1, 0.0, SILENT), "a.parquet")
    assert len(set(made)) == 4
    whole = embedded(RayExecutor(PretendedRay(counted), 1, 0.0, SILENT), "a.parquet")
    assert len(made) == len(set(made)) == 7
    assert whole.tobytes() == embedded(IN_THIS_PROCESS, "b.parquet").tobytes()


def test_workers_with_other_files_refuse(
    embedded: Callable[..., Any], helsinki_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model at the same path; a folder of parts that this machine does not see; a model without files."""
    ray = RayExecutor(PretendedRay(), 1, 0.0, SILENT)
    stale = Model.load(helsinki_run)
    next(stale.modules["tile"].parameters()).data += 1.0
    stale.__dict__.pop("hash", None)
    with pytest.raises(PlacevecError, match="is a different model on this machine"):
        embedded(ray, "c.parquet", stale)
    with pytest.raises(ModelError, match="never saved"):
        embedded(ray, "d.parquet", Model(stale.modules, stale.readings))
    monkeypatch.setattr("placevec.io.jobs.inputs_of", lambda _: None)
    with pytest.raises(PlacevecError, match="to a disk that all machines share"):
        embedded(ray, "e.parquet")
