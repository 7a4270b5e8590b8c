"""What joins say, and when they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.errors import EvaluationError, SourceError
from placevec.sources.tables.joins import join_by_id

PLACES = np.array([f"p{row}" for row in range(10)], object)


@pytest.mark.parametrize(
    ("ids", "note", "refused"),
    [
        (list(PLACES), "", False),
        (["p1", "p2"], "8 of 10 places match no row", False),  # few labels of many places
        (
            [*PLACES, *(f"q{row}" for row in range(90))],
            "90 of 100 rows match no place",
            False,
        ),  # a table of the country
        (
            ["p1", "p2", "q3", "q4"],
            "2 of 4 rows match no place (first: row 3, place_id 'q3'); 8 of 10 places",
            False,
        ),
        (["p1", "q2", "q3", "q4"], "3 of 4 rows match no place", True),
        (["q1"], "1 of 1 rows match no place", True),
    ],
)
def test_both_sides_are_counted(ids: list[str], note: str, refused: bool) -> None:
    """Refused if no row, or most rows and most places, have no match."""
    at, join = join_by_id(np.array(ids, object), PLACES, "t.csv")
    assert at.tolist() == [PLACES.tolist().index(one) if one in PLACES else -1 for one in ids]
    assert note in join.note()
    assert bool(join.note()) == bool(note)
    if not refused:
        join.check()
        return
    with pytest.raises(
        EvaluationError, match=r"^t\.csv.* by place_id.*a place has the ID 'p0'; do both tables"
    ):
        join.check(EvaluationError)
    with pytest.raises(SourceError):
        join.check()


def test_ids_that_lost_their_zeros_are_named() -> None:
    """As a spreadsheet writes FIPS codes; no zeros are spoken of where others are missing."""
    places = np.array(["01001", "01003", "48001"], object)
    _, join = join_by_id(np.array(["1001", "48001"], object), places, "t.csv")
    assert "leading zeros ('1001' is '01001')" in join.note()
    _, join = join_by_id(np.array(["1001", "1003"], object), places, "t.csv")
    with pytest.raises(SourceError, match="leading zeros"):
        join.check()
    _, join = join_by_id(np.array(["9", "48001"], object), places, "t.csv")
    assert "zeros" not in join.note()
