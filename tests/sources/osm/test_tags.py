"""Tags as columns, against the dictionaries that they were made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.sources.osm import tags as tag_columns
from placevec.sources.osm.objects import Kind
from placevec.sources.osm.tags import Asker, TagColumns

TAGS = st.dictionaries(st.sampled_from(["a", "b", "name", "ä"]), st.text(max_size=3), max_size=4)


@given(st.lists(TAGS, max_size=6), st.lists(TAGS, min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_rows_come_back_joined_chosen_and_narrowed(
    one: list[dict[str, str]], other: list[dict[str, str]], data: st.DataObject
) -> None:
    """Oracle: the same done to lists of dictionaries."""
    both = TagColumns.concatenate([TagColumns.of(one), TagColumns.of(other)])
    assert both.rows() == [*one, *other] == list(both)
    rows = data.draw(st.lists(st.integers(0, len(both) - 1), max_size=8))
    assert both.take(np.array(rows, np.int64)).rows() == [[*one, *other][row] for row in rows]
    assert both.only({b"a", "ä".encode()}).rows() == [
        {key: value for key, value in row.items() if key in ("a", "ä")} for row in [*one, *other]
    ]


@given(st.lists(st.tuples(TAGS, st.sampled_from(Kind)), max_size=12))
@settings(deadline=None)
def test_answers_are_those_of_the_question_asked_of_each(objects: list[tuple[dict[str, str], Kind]]) -> None:
    """Oracle: the question itself, object by object."""

    def question(tags: Mapping[str, str], kind: Kind) -> tuple[str, Kind] | None:
        return (tags["a"], kind) if "a" in tags else None

    asker = Asker(question, tuple(Kind).__getitem__, ["a"])
    for _ in range(2):  # answers that are known already are the same
        numbers, answers = asker.ask(
            TagColumns.of([tags for tags, _ in objects]), np.array([kind for _, kind in objects], np.uint8)
        )
        found = [None if number < 0 else answers[number] for number in numbers.tolist()]
        assert found == [question(*one) for one in objects]


def test_the_question_is_put_once_for_all_that_agree_and_memory_is_bounded() -> None:
    asked: list[Mapping[str, str]] = []
    asker = Asker(lambda tags, kind: asked.append(tags), tuple(Kind).__getitem__, ["a"])
    tags = TagColumns.of([{"a": "x", "name": str(number)} for number in range(10)])
    for _ in range(2):
        asker.ask(tags, np.zeros(10, np.uint8))
    assert asked == [{"a": "x"}]


def test_answers_given_out_stay_valid_when_old_ones_are_forgotten(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tag_columns, "_KEPT_ANSWERS", 3)
    asker = Asker(lambda tags, kind: tags["a"], tuple(Kind).__getitem__, None)
    given_out = []
    for first in range(0, 40, 4):
        values = [str(first + number) for number in range(4)]
        numbers, answers = asker.ask(TagColumns.of([{"a": v} for v in values]), np.zeros(4, np.uint8))
        given_out.append((values, numbers, answers))
    for values, numbers, answers in given_out:
        assert [answers[number] for number in numbers.tolist()] == values
