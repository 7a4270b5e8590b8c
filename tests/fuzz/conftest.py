"""One corpus and one process that reads hostile files, for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.corpus import Corpus, build
from tests.fuzz.isolated import Isolated

collect_ignore = ["under_atheris.py"]  # it needs atheris, which `make fuzz` looks for


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Small valid files of every kind."""
    return build(tmp_path_factory.mktemp("fuzz") / "corpus")


@pytest.fixture(scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolated]:
    """Reads a hostile file in a process of its own."""
    process = Isolated(tmp_path_factory.mktemp("isolated"))
    yield process
    process.close()
