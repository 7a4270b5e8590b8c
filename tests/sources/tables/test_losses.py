"""What is lost of a table is refused beyond its share, and never for one or two rows while others can be read."""

from __future__ import annotations

import pytest

from placevec.errors import SourceError
from placevec.sources.tables.losses import HARMLESS, Losses


@pytest.mark.parametrize(
    ("lost", "rows", "share", "refused"),
    [
        (3, 30, 0.1, False), (4, 30, 0.1, True), (3, 29, 0.1, True), (2, 3, 0.1, False), (2, 2, 0.1, True),
        (1, 1, 0.1, True), (15, 30, 0.5, False), (16, 30, 0.5, True), (30, 30, HARMLESS, False), (29, 30, 1.0, False),
        (30, 30, 1.0, True),
    ],
)  # fmt: skip
def test_shares(lost: int, rows: int, share: float, refused: bool) -> None:
    """Each by hand: more than the share, if more than two; or all of them."""
    losses = Losses("a.csv", "images")
    losses.add("no content", lost, "b.png", "repair it", share=share)
    assert losses.count == lost
    if refused:
        said = rf"^a\.csv: {lost} of {rows} images have no content, the first is b\.png: rep"
        with pytest.raises(SourceError, match=said):
            losses.check(rows)
    else:
        losses.check(rows)
    assert list(losses.notes(rows)) == [f"{lost} of {rows} images: no content (first: b.png; repair it)"]


def test_reasons_are_counted_apart() -> None:
    losses = Losses("a.csv")
    for reason in ("x", "y", "x"):
        losses.add(reason, 2, "row 1", "remedy")
    losses.add("z", 0, "row 1", "remedy")
    assert {reason: loss.count for reason, loss in losses.by_reason.items()} == {"x": 4, "y": 2}
    losses.check(40)
    with pytest.raises(SourceError, match="4 of 39 rows have x"):
        losses.check(39)
