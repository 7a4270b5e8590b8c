"""Warnings of collapse: said after three passes, once, and not of what is well."""

from __future__ import annotations

import pytest

from placevec.training.collapse import CollapseWatch

WELL = {"loss/triplet": 0.05, "validation/effective_rank": 30.0, "validation/two_direction_share": 0.3}


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ({"validation/effective_rank": 1.2}, "are collapsing"),
        ({"validation/two_direction_share": 0.97}, "2 of 64 directions"),
        ({"loss/triplet": 0.2003}, "all vectors are equal"),
        ({"loss/triplet": 0.1999}, "all vectors are equal"),
    ],
)
def test_each_sign_is_said_once_after_three_passes(sign: dict[str, float], words: str) -> None:
    watch = CollapseWatch({"triplet": 0.2}, dim=64)
    told = [watch.look({**WELL, **sign}) for _ in range(6)]
    assert [len(lines) for lines in told] == [0, 0, 1, 0, 0, 0]
    assert words in told[2][0]
    assert "try" in told[2][0]


def test_a_pass_between_that_is_well_starts_the_count_again() -> None:
    watch = CollapseWatch({"triplet": 0.2}, dim=64)
    bad = {**WELL, "loss/triplet": 0.2}
    assert [len(watch.look(numbers)) for numbers in (bad, bad, WELL, bad, bad, bad)] == [0, 0, 0, 0, 0, 1]


def test_what_is_well_or_unknown_is_not_reported() -> None:
    watch = CollapseWatch({"triplet": 0.2}, dim=64)
    assert not any(watch.look(numbers) for numbers in [WELL] * 5 + [{}] * 5)


def test_numbers_of_training_stand_in_where_nothing_is_validated() -> None:
    watch = CollapseWatch({}, dim=64)
    assert sum(len(watch.look({"train/effective_rank": 1.0})) for _ in range(4)) == 1
