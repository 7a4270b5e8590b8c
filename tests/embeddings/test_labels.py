"""Which of several places a name means, and labels that no two places share."""

from __future__ import annotations

import numpy as np
import pytest

from placevec import geo
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.labels import labels, places_named
from placevec.errors import InputError


def station() -> Embeddings:
    """Nine places around a station, all called Farringdon; two others, one without a name."""
    north, east = (240.0 * (axis - 1) for axis in np.divmod(np.arange(9), 3))
    lonlat = geo.offset(np.full(9, -0.105), np.full(9, 51.52), east_m=east, north_m=north)
    lonlat = np.vstack([lonlat, [-0.09, 51.51], [-0.08, 51.5], [-0.11, 51.53]])
    names = np.array(["Farringdon"] * 9 + ["Farringdon Road", None, "Angel"], object)
    ids = np.array([f"p{row}" for row in range(12)], object)
    nothing = np.full(12, None, object)
    return Embeddings(ids, np.eye(12), lonlat, nothing, names, "map", Provenance("a", "b"))


def test_the_one_in_the_middle_is_meant_and_how_many_there_are_is_said() -> None:
    emb = station()
    named = places_named(emb, "farringdon ")
    assert (named.match, named.row, len(named.rows)) == ("whole", 4, 9)
    assert named.note(emb) == (
        "9 places are named 'farringdon '; selected 'Farringdon' (p4); others by place_id: p0, p1, p2, ..."
    )
    beginning = places_named(emb, "Farr")
    assert (beginning.match, beginning.row, len(beginning.rows)) == ("beginning", 4, 10)
    assert "10 places have names that begin with 'Farr'" in beginning.note(emb)
    part = places_named(emb, "road")
    assert (part.match, part.row) == ("part", 9)
    assert part.note(emb) == "'road' matches 'Farringdon Road' (p9)"
    assert places_named(emb, "ANGEL").note(emb) == ""


def test_labels_distinguish_what_names_do_not() -> None:
    """Closed form: steps of 240 m on a square, in eight directions."""
    found = labels(station()).tolist()
    assert found[:9] == [
        "Farringdon, 339 m SW", "Farringdon, 240 m S", "Farringdon, 339 m SE",
        "Farringdon, 240 m W", "Farringdon", "Farringdon, 240 m E",
        "Farringdon, 339 m NW", "Farringdon, 240 m N", "Farringdon, 339 m NE",
    ]  # fmt: skip
    assert found[9:] == ["Farringdon Road", "p10", "Angel"]
    assert labels(station(), [3, 10]).tolist() == ["Farringdon, 240 m W", "p10"]


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_distinct_whatever_the_names(seed: int) -> None:
    """Invariant, with names that repeat, places on one spot, and places nowhere."""
    random = np.random.default_rng(seed)
    count = 300
    lonlat = np.round(random.uniform([24.9, 60.1], [25.0, 60.2], (count, 2)), 3)
    lonlat[random.random(count) < 0.1] = np.nan
    lonlat[:40] = lonlat[0]
    names = random.choice(np.array(["a", "b", "=cmd()", None], object), count)
    ids = np.array([f"p{row}" for row in range(count)], object)
    emb = Embeddings(
        ids, np.ones((count, 2)), lonlat, np.full(count, None, object), names, "map", Provenance("a", "b")
    )
    assert len(set(labels(emb))) == count


def test_unknown_name() -> None:
    with pytest.raises(
        InputError, match=r"no place is named 'Farington' \(11 of 12 places have a name\); did you mean"
    ):
        places_named(station(), "Farington")
    with pytest.raises(InputError, match="no place is named ' '"):
        places_named(station(), " ")
