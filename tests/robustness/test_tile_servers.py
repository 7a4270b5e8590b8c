"""Downloads that are killed: three times on the way, and at moments of chance. Oracle: the one never killed."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path

import pytest

from tests.robustness import content
from tests.robustness.commands import Nursery
from tests.robustness.killing import Job, kill_and_resume
from tests.tile_servers import Asked, Reply, serving, well

KILLS = 3
EACH = 3
"""Tiles that the server gives between two kills."""


def arguments(template: str, out: Path) -> list[object]:
    """Some 70 tiles, of which some are missing, on both sides of the edge between two shards."""
    where = ["--tiles", template, "--zoom", 16, "--bbox", "24.93,60.162,24.965,60.18", "--samples", 40]
    how = ["--margin-m", 30, "--max-failed", 0.2, "--connections", 4]
    return ["prepare", "loc2vec", *where, *how, "-q", "--out", out]


def answering(asked: Asked) -> Reply:
    return Reply(404) if (asked.x + asked.y) % 17 == 0 else well(asked)


@pytest.mark.slow
def test_killed_on_the_way(nursery: Nursery, tmp_path: Path) -> None:
    """Every run gets at most a few tiles further; what was kept is not asked for again."""
    with serving(answering) as server:
        shutil.rmtree(nursery.cache, ignore_errors=True)
        whole = nursery.run(*arguments(server.template, tmp_path / "whole" / "out"))
        assert whole.code == 0, whole.err
        needed = len(server.asked)
        assert needed > KILLS * EACH // 2
        shutil.rmtree(nursery.cache)
        given, limit, changed = 0, 0, threading.Condition()
        server.asked.clear()

        def sparing(asked: Asked) -> Reply:
            nonlocal given
            with changed:
                changed.wait_for(lambda: given < limit, timeout=60.0)
                given += 1
            return answering(asked)

        server.answering = sparing
        draw, killed = random.Random(0), 0
        for _ in range(KILLS):
            with changed:
                limit = given + EACH
                changed.notify_all()
            ended = nursery.run(
                *arguments(server.template, tmp_path / "out"),
                kill_after=draw.uniform(0.3, 0.9) * whole.seconds,
            )
            killed += ended.killed
            with changed:  # those who wait for a client that is dead
                limit = given
        assert killed == KILLS
        with changed:
            limit = 10**6
            changed.notify_all()
        server.answering = answering
        so_far = sum(server.asked.values())
        ended = nursery.run(*arguments(server.template, tmp_path / "out"))
        assert ended.code == 0, ended.err
        assert sum(server.asked.values()) - so_far < needed  # the rest was kept before the last kill
    assert content.of_dataset(tmp_path / "out") == content.of_dataset(tmp_path / "whole" / "out")
    assert content.leftovers(tmp_path / "out") == []


def test_killed_at_any_moment(nursery: Nursery, tmp_path: Path) -> None:
    """While it plans, downloads, draws, writes; nothing is kept from one attempt to the next comparison."""

    def before(out: Path) -> None:
        shutil.rmtree(nursery.cache, ignore_errors=True)

    with serving(answering) as server:
        job = Job("tiles", lambda out: arguments(server.template, out), content.of_dataset, before=before)
        tally = kill_and_resume(job, nursery.run, tmp_path, kills=2, seed=1, info=nursery.run)
    assert tally.kills == 2
