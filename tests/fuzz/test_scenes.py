"""Scenes from catalogs and disks: STAC items, GeoTIFFs, and chips of the original Where2Vec."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused


@pytest.mark.parametrize(("name", "examples"), [("stac", 80), ("scene", 30), ("founding-chip", 80)])
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


def test_a_document_that_is_nested_without_end(isolated: Isolated) -> None:
    content = json.dumps({"type": "FeatureCollection"})[:-1].encode() + b', "features": ' + b"[" * 100_000
    assert "nested too deeply" in refused(isolated, "stac", "item.json", content)
