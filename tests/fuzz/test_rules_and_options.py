"""Layer tables and option files of the user (TOML), dumps of Wikidata, tables of chips and texts."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("layers", 300),
        ("types", 150),
        ("templates", 150),
        ("options", 300),
        ("wikidata", 90),
        ("described", 90),
    ],
)
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


def layer(rule: str) -> bytes:
    return f'[[layer]]\nname = "a"\nrules = [{{ key = "building", {rule} }}]\n'.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 50_000,
        layer(f"width_m = {'9' * 400}"),
        layer(f'values = "{"x" * 100_000}"'),
        layer("width_m = nan"),
        b'[[layer]]\nname = "a\\u0000"\nrules = []\n',
        b"\xff\xfe",
    ],
)
def test_layer_tables_that_are_rejected(isolated: Isolated, content: bytes) -> None:
    """Nesting was a RecursionError, 400 digits an OverflowError, and a long value a message of its length."""
    assert len(refused(isolated, "layers", "layers.toml", content)) <= 1000


@pytest.mark.parametrize(
    "content",
    [
        'size_m = "wide"',
        "drop_layers = 3",
        "epochs = true",
        "batch_size = [2]",
        "a = " + "[" * 50_000,
        "near_m = nan",
    ],
)
def test_options_of_another_type(isolated: Isolated, content: str) -> None:
    """Were TypeErrors."""
    refused(isolated, "options", "train.toml", content.encode())
