"""kill -9 at random moments, then the same command again: the output is that of an uninterrupted run.

Three kills of `prepare`, `train` and `embed`, aimed or at random, and one of what else resumes; ``make soak`` does fifty
each, of more kinds. Oracle: the same command, never killed.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from placevec.datasets.dataset import Dataset
from tests.robustness import jobs
from tests.robustness.commands import Nursery
from tests.robustness.killing import kill_and_resume, kill_and_resume_aimed

KILLS, FEW = 3, 1


def test_prepare(nursery: Nursery, tmp_path: Path) -> None:
    """While it draws, while it writes, while it renames."""
    tally = kill_and_resume_aimed(
        jobs.prepare(), nursery.run, tmp_path, kills=KILLS, seed=1, info=nursery.run
    )
    assert tally.hit == {"drawing": 1, "writing": 1, "renaming": 1}
    assert tally.opened + tally.refused + tally.absent == KILLS


def test_prepare_over_an_old_dataset(nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """``--force``: the old dataset opens at every moment until the new one has taken its place."""
    job = jobs.prepare_again(helsinki_dataset.path)
    tally = kill_and_resume(job, nursery.run, tmp_path, kills=FEW, seed=1, info=nursery.run)
    assert tally.opened == FEW


def test_prepare_points(nursery: Nursery, tmp_path: Path) -> None:
    job = jobs.prepare_points(jobs.write_points(tmp_path / "points.csv"))
    tally = kill_and_resume(job, nursery.run, tmp_path / "now", kills=FEW, seed=1, info=nursery.run)
    assert tally.kills == FEW
    assert tally.opened + tally.refused + tally.absent == FEW


def test_adding_labels(nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """The old dataset opens at every moment until it has labels; oracle: the bytes of a command that was never killed."""
    job = jobs.add_labels(helsinki_dataset.path, tmp_path)
    tally = kill_and_resume(job, nursery.run, tmp_path / "now", kills=FEW, seed=1, info=nursery.run)
    assert tally.opened == FEW


def test_adding_a_map(nursery: Nursery, tmp_path: Path) -> None:
    table = jobs.write_observations(tmp_path / "points.csv")
    made = nursery.run("prepare", "sphere2vec", table, "--label", "species", "-q", "--out", tmp_path / "old")
    assert made.code == 0, made.err
    job = jobs.add_map(tmp_path / "old")
    tally = kill_and_resume(job, nursery.run, tmp_path / "now", kills=FEW, seed=1, info=nursery.run)
    assert tally.opened == FEW


def test_train(nursery: Nursery, helsinki_dataset: Dataset, options: Path, tmp_path: Path) -> None:
    job = jobs.train(helsinki_dataset.path, options)
    assert kill_and_resume(job, nursery.run, tmp_path, kills=KILLS, seed=1, info=nursery.run).kills == KILLS


def test_embed(nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path, tmp_path: Path) -> None:
    """In parts of 64 places, so that there are seven of them."""
    job = jobs.embed(quick_run, helsinki_dataset.path)
    run = functools.partial(nursery.run, embed_part=64)
    assert kill_and_resume(job, run, tmp_path, kills=KILLS, seed=1, info=nursery.run).kills == KILLS


def test_import_of_tiles(nursery: Nursery, tmp_path: Path) -> None:
    job = jobs.import_tiles(jobs.write_tiles(tmp_path / "tiles"))
    tally = kill_and_resume(job, nursery.run, tmp_path / "now", kills=FEW, seed=1, info=nursery.run)
    assert tally.kills == FEW


@pytest.fixture(scope="module")
def imported(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of a few tiles of two layers."""
    folder = tmp_path_factory.mktemp("imported")
    made = nursery.run(*jobs.import_tiles(jobs.write_tiles(folder / "tiles")).arguments(folder / "data"))
    assert made.code == 0, made.err
    return folder / "data"


@pytest.mark.parametrize("how", ["--tile-folder", "--mbtiles"])
def test_export_of_tiles(nursery: Nursery, imported: Path, tmp_path: Path, how: str) -> None:
    """Killed, there is nothing under the name; whole, there are the same bytes, of SQLite's files too."""
    job = jobs.export_tiles(imported, how)
    tally = kill_and_resume(job, nursery.run, tmp_path / "now", kills=FEW, seed=1, info=nursery.run)
    assert tally.kills == tally.absent + tally.refused + tally.opened
