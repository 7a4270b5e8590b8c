"""Tiles of unknown origin: pictures in folders, MBTiles, and the documents beside them."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds

KINDS = [("mbtiles", 50), ("tile-picture", 50), ("tilejson", 40), ("metadata", 60)]


@pytest.mark.parametrize(("name", "examples"), KINDS)
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)
