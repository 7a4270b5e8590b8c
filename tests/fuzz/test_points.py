"""Labeled points of unknown origin: tables, benchmarks' files, and datasets made of them."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds


@pytest.mark.parametrize(
    ("name", "examples"), [("points", 45), ("layout", 35), ("labeled", 45), ("split", 35)]
)
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    """Read or refused in one line; where a table is refused nothing is written."""
    holds(name, corpus, isolated, examples)
