"""Texts of places as tokens. Oracle: Python's own UTF-8, and the table that was written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from placevec.core import Look, ViewSpec
from placevec.datasets.views.text import VALUES, TextView, write_texts
from placevec.errors import DatasetError, InputError
from placevec.io.byte_texts import MAX_BYTES, cut, decoded, tokens_of

SPEC = ViewSpec("text", "text", values=VALUES)


def table(*rows: tuple[str, str]) -> pa.Table:
    nothing = pa.nulls(len(rows), pa.string())
    ids, texts = (pa.array([row[n] for row in rows], pa.string()) for n in (0, 1))
    views = pa.array(["text"] * len(rows), pa.string())
    return pa.table({"place_id": ids, "view": views, "language": nothing, "kind": nothing, "text": texts})


@given(st.lists(st.text(max_size=40), max_size=5))
def test_texts_come_back(texts: list[str]) -> None:
    wanted = [text.encode("utf-8", "replace").decode() for text in texts]
    assert decoded(tokens_of(texts)) == wanted


def test_long_texts_end_at_a_whole_character() -> None:
    text = "ä" * MAX_BYTES
    assert cut("x" + text).decode() == "x" + "ä" * ((MAX_BYTES - 1) // 2)


def test_which_text_of_a_place_is_read(tmp_path: Path) -> None:
    write_texts(tmp_path / "t.parquet", table(("b", "first"), ("a", "only"), ("b", "second")))
    view = TextView(tmp_path / "t.parquet", SPEC, ["a", "b", "c"])
    assert view.counts.tolist() == [1, 2, 0]
    assert view.known.tolist() == [True, True, False]
    look = Look(torch.tensor([1, 1, 1, 0, 2, -2]), warp={"text": torch.tensor([0, 1, 2, 5, 0, 0])})
    batch = view.read(look)
    assert decoded(batch) == ["first", "second", "first", "only", "", ""]
    assert batch["attention_mask"].sum(1).tolist() == [5, 6, 5, 4, 0, 0]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    write_texts(tmp_path / "t.parquet", table(("a", "x"), ("z", "y")))
    with pytest.raises(DatasetError, match="it has texts of places that are not in the dataset"):
        TextView(tmp_path / "t.parquet", SPEC, ["a"])
    with pytest.raises(DatasetError, match=r"no\.parquet"):
        TextView(tmp_path / "no.parquet", SPEC, ["a"])
    view = TextView(tmp_path / "t.parquet", SPEC, ["a", "z"])
    with pytest.raises(InputError, match="there are texts for 2 places"):
        view.read(Look(torch.tensor([2])))
    with pytest.raises(InputError, match="unknown warp angle"):
        view.read(Look(torch.tensor([0]), warp={"angle": torch.tensor([0.0])}))
