"""A real Ray cluster of three nodes on this machine, with workers and a node killed in the middle of the work.

Only with ``PLACEVEC_RAY=1``: the cluster alone takes ten seconds to start. Oracle: the bytes that one process writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from placevec import api
from placevec.cli import main
from placevec.distributed.ray_executor import RayExecutor
from tests.preparation.rasterize.test_pipeline import content

pytestmark = [
    pytest.mark.skipif(not os.environ.get("PLACEVEC_RAY"), reason="starts a Ray cluster: set PLACEVEC_RAY=1"),
    pytest.mark.slow,
]
CREATED = "2026-01-01T00:00:00+00:00"
_OBJECTS = 80_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs, and two nodes of one CPU each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECTS},
    )
    made.workers = [made.add_node(num_cpus=1, object_store_memory=_OBJECTS) for _ in range(2)]
    yield made
    made.shutdown()


def is_alive(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


@pytest.fixture
def killed(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kills of a worker at random, up to ten after any part that is finished, and of one node after the sixth."""
    chance, kills, whole = random.Random(7), list[int](), RayExecutor.run

    def run(self: RayExecutor, *given: Any) -> Any:
        for number, found in enumerate(whole(self, *given), 1):
            living = [process for _, process in self.found if process not in kills and is_alive(process)]
            if len(kills) < 10 and living and chance.random() < 0.6:
                kills.append(chance.choice(living))
                os.kill(kills[-1], signal.SIGKILL)
            if number == 6:
                cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
                cluster.workers.append(cluster.add_node(num_cpus=1, object_store_memory=_OBJECTS))
            yield found

    monkeypatch.setattr("placevec.distributed.ray_executor.RETRIES", 12)
    monkeypatch.setattr(RayExecutor, "run", run)
    return kills


def test_killed_workers_leave_the_same_bytes(
    cluster: Any,
    killed: list[int],
    tmp_path: Path,
    helsinki_pbf: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dataset and its vectors, by the command line; parts of 32 places, shards of zoom 20."""
    for room in ("preparing", "embedding"):
        monkeypatch.setattr(f"placevec.api.{room}.now", lambda: CREATED)
    monkeypatch.setattr("placevec.inference.embed.EMBED_PART", 32)
    options: dict[str, Any] = {"osm": helsinki_pbf, "spacing": 60, "zoom": 20}
    api.prepare("loc2vec", out=tmp_path / "one", **options)
    api.embed("base", tmp_path / "one", out=tmp_path / "one.parquet")
    where = ["--engine", "ray", "--address", cluster.address]
    words = ["--osm", helsinki_pbf, "--spacing", 60, "--zoom", 20, "--out", tmp_path / "ray"]
    assert main([str(word) for word in ["prepare", "loc2vec", *words, *where, "--quiet"]]) == 0
    assert content(tmp_path / "ray") == content(tmp_path / "one")
    in_shards = len(killed)
    (tmp_path / "ray").rename(tmp_path / "moved")  # the table names the path of its dataset
    capsys.readouterr()
    embed = ["embed", "--model", "base", tmp_path / "one", "-o", tmp_path / "ray.parquet", *where, "--json"]
    assert main([str(word) for word in embed]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["count"] > 0, "nothing of Ray's on standard output"
    assert captured.err == ""
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    assert in_shards > 0
    assert len(killed) == 10
