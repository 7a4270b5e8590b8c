"""A dataset, a run and a table that they may read and must not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.datasets.dataset import Dataset
from tests.robustness import jobs
from tests.robustness.commands import Nursery


@pytest.fixture
def mounting(nursery: Nursery) -> Nursery:
    """The nursery, where it may mount disks of its own."""
    if nursery.no_mounts:
        pytest.skip(nursery.no_mounts)
    return nursery


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of training options that take a second."""
    return jobs.write_options(tmp_path_factory.mktemp("options") / "options.toml")


@pytest.fixture(scope="session")
def quick_run(nursery: Nursery, helsinki_dataset: Dataset, options: Path) -> Path:
    """A run of a narrow encoder."""
    out = options.with_name("run")
    assert nursery.run(*jobs.train(helsinki_dataset.path, options).arguments(out)).code == 0
    return out


@pytest.fixture(scope="session")
def quick_table(nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path) -> Path:
    """Its vectors."""
    out = quick_run.with_name("vectors.parquet")
    assert nursery.run(*jobs.embed(quick_run, helsinki_dataset.path).arguments(out)).code == 0
    return out
