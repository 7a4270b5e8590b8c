"""What parts of half-done vectors depend on. Oracle: each input changed alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from placevec.inference.embed import inputs_of_parts

SAME: dict[str, Any] = {
    "model": "m",
    "dims": {"map": 4, "text": 8},
    "dataset": "d",
    "views": ["map"],
    "batch_size": 64,
}


def inputs(given: dict[str, Any]) -> dict[str, Any]:
    model: Any = SimpleNamespace(hash=given["model"], dims=given["dims"])
    dataset: Any = SimpleNamespace(hash=given["dataset"])
    return inputs_of_parts(model, dataset, given["views"], given["batch_size"])


@pytest.mark.parametrize(
    "changed",
    [{"model": "n"}, {"dims": {"map": 5}}, {"dataset": "e"}, {"views": ["map", "text"]}, {"batch_size": 32}],
)
def test_parts_are_of_one_model_dataset_views_and_batches(changed: dict[str, Any]) -> None:
    assert inputs(SAME) == inputs({**SAME, "dims": {"map": 4, "other": 1}})  # what no view asks for
    assert inputs({**SAME, **changed}) != inputs(SAME)
