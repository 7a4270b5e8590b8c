"""The split of a run: written when it starts, and required when it is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import FILE, RunSplit, read_split, write_split
from placevec.errors import ModelError
from placevec.io import atomic

if TYPE_CHECKING:
    from placevec.recipes.built import Built

TrainingData = Dataset | JoinedDataset
"""Data for training or validation: one dataset, or several joined."""


def parts_of(training_data: TrainingData) -> tuple[Dataset, ...]:
    """The datasets used for training."""
    return training_data.parts if isinstance(training_data, JoinedDataset) else (training_data,)


def _all_parts(training_data: TrainingData, validation_data: TrainingData | None) -> tuple[Dataset, ...]:
    return (*parts_of(training_data), *(() if validation_data is None else parts_of(validation_data)))


def joined_hash(hashes: Sequence[str]) -> str:
    """The hash of joined datasets, as in `placevec.datasets.joined.JoinedDataset.hash`."""
    return hashes[0] if len(hashes) == 1 else atomic.sha256_of_json(list(hashes))


def state_of(run: Path, resumed: bool | Path) -> Path | None:
    """The state from which a run is resumed; None if it starts.

    Raises:
        ModelError: the checkpoint does not exist.
    """
    from placevec.training.state import named_state, newest_state

    if isinstance(resumed, Path):
        return named_state(resumed)
    return newest_state(run / "state") if resumed else None


def _kept(run: Path, state: Path | None) -> RunSplit | None:
    """The split of a state: next to it in a named checkpoint, otherwise the run's."""
    if state is None:
        return None
    return read_split(state if (state / FILE).exists() else run)


def hashes_at_begin(
    training_data: TrainingData, validation_data: TrainingData | None, run: Path, state: Path | None
) -> list[str]:
    """The hash of each dataset when the run started, validation datasets last.

    Later additions to a dataset change nothing that the run reads, so it can be resumed.
    """
    kept = _kept(run, state)
    found = [dataset.hash for dataset in _all_parts(training_data, validation_data)]
    for number, dataset in enumerate(_all_parts(training_data, validation_data)):
        if kept is not None and number < len(kept.parts) and dataset.descends_from(kept.parts[number].hash):
            found[number] = kept.parts[number].hash
    return found


def split_of(
    built: Built, training_data: TrainingData, validation_data: TrainingData | None, hashes: Sequence[str]
) -> RunSplit:
    """The split of a run for every dataset; ``hashes`` are the hashes of the datasets when the run started."""
    own = parts_of(training_data)
    split = RunSplit.of_datasets(own, built.split, hashes[: len(own)])
    if validation_data is None or built.validation_split is None:
        return split
    return split + RunSplit.of_datasets(parts_of(validation_data), built.validation_split, hashes[len(own) :])


def keep_split(split: RunSplit, run: Path, state: Path | None, config: dict[str, Any]) -> None:
    """Write the split of a new run.

    Raises:
        ModelError: the run is resumed from a state with another split; a differing option is named first, because it is
            more helpful.
    """
    from placevec.training.state import require_config

    before = _kept(run, state)
    if state is not None and before is not None and (why := before.difference(split)):
        require_config(state, config)
        raise ModelError(
            f"cannot resume {state}: its places were split differently ({why}); use the same dataset and options, or "
            "another --out"
        )
    write_split(run, split)
