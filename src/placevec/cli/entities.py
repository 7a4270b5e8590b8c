"""Command-line output about the entities of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

_SHOWN = 12


def entity_facts(dataset: Dataset) -> dict[str, Any]:
    """How many entities there are, of which types, and in which languages; empty where there are none."""
    from placevec.datasets.entities import FILE, has_entities, summary_of

    if not has_entities(dataset):
        return {}
    found = summary_of(dataset.path / FILE)
    return {
        "entities": found.count,
        "entities with a name": found.named,
        "entities with a Wikidata item": found.with_item,
        "types": listed(found.groups),
        "languages": listed(found.languages),
    }


def listed(counts: Mapping[str, int]) -> str:
    """The most frequent of some counts.

    >>> listed({"water": 1200, "place": 3})
    'water 1,200, place 3'
    """
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:_SHOWN]]
    more = len(counts) - len(shown)
    return ", ".join([*shown, *([f"and {more:,} more"] if more > 0 else [])])
