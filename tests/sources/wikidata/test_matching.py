"""Which item is the thing that was looked for. Oracle: names and distances that were made up."""

from __future__ import annotations

from placevec.sources.wikidata.items import Item
from placevec.sources.wikidata.matching import best_match

HERE = (2.6, 48.95)


def item(label: str, lonlat: tuple[float, float] | None, alias: str = "") -> Item:
    return Item(1, {"fr": label}, {}, {"fr": (alias,)} if alias else {}, (), lonlat)


def test_a_name_that_only_begins_alike_is_no_match() -> None:
    """The founding system took every label that begins with the name: 'La Mare' matched anything."""
    assert best_match(["La Mare"], HERE, {1: item("La Mare aux Fées", HERE)}) is None
    assert best_match(["La Mare"], HERE, {1: item("la mare", HERE)}) == 1
    assert best_match(["Étang"], HERE, {1: item("Lac", HERE, alias="Etang")}) == 1


def test_far_items_and_those_without_a_place_are_none() -> None:
    assert best_match(["La Mare"], HERE, {1: item("La Mare", (2.6, 48.97))}) is None  # 2.2 km
    assert best_match(["La Mare"], HERE, {1: item("La Mare", (2.6, 48.97))}, max_distance_m=3_000) == 1
    assert best_match(["La Mare"], HERE, {1: item("La Mare", None)}) is None


def test_the_most_alike_wins_and_the_first_of_those() -> None:
    items = {1: item("La Mares", HERE), 2: item("La Mare", HERE), 3: item("La Mare", HERE)}
    assert best_match(["La Mare"], HERE, items) == 2


def test_the_antimeridian_is_no_border() -> None:
    assert best_match(["Taveuni"], (179.999, -16.8), {1: item("Taveuni", (-179.999, -16.8))}) == 1
