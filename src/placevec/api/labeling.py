"""`predict` with types: places of a dataset labeled by the names of types, without training on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.errors import InputError, UsageError
from placevec.io import atomic
from placevec.io.files import read_text
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.inference.typed_places import TypedPlaces, TypedReport
    from placevec.models.model import Model

KINDS = (".parquet", ".geojson", ".html", ".png")
FROM_ENTITIES = "entities"
IN_TRAINING = "training"
Shares = Mapping[str, float] | str | None
"""Type -> its share, `IN_TRAINING`, or None: equal ones."""


def read_types(value: Any) -> tuple[str, ...]:
    """Types: names separated by commas, ``entities``, a .toml table as for ``prepare``, or a .txt with one per line.

    >>> read_types("park, school")
    ('park', 'school')
    """
    if value is None or value == ():
        return ()
    given = [str(one) for one in ([value] if isinstance(value, str | Path) else value)]
    if len(given) == 1 and Path(given[0]).suffix.lower() == ".toml":
        from placevec.sources.osm.entities.types import TypeTable

        return tuple(dict.fromkeys(entry.name for entry in TypeTable.of(given[0]).entries))
    if len(given) == 1 and Path(given[0]).suffix.lower() == ".txt":
        try:
            given = [line for line in read_text(given[0], "list of types").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the types in {given[0]}: {error}") from error
    else:
        given = [part for one in given for part in one.split(",") if part.strip()]
    found = tuple(dict.fromkeys(one.strip() for one in given))
    if not found:
        raise UsageError("--types contains no type")
    return found


def read_shares(value: Any) -> Shares:
    """Shares of types: ``training``, or one for each type, in any unit.

    >>> read_shares("park=3, school=1"), read_shares("training")
    ({'park': 3.0, 'school': 1.0}, 'training')
    """
    if value is None or value == IN_TRAINING:
        return value  # type: ignore[no-any-return]
    pairs = list(value.items()) if isinstance(value, Mapping) else [
        (name.strip(), share) for name, _, share in (part.rpartition("=") for part in str(value).split(","))
    ]  # fmt: skip
    found: dict[str, float] = {}
    for name, share in pairs:
        try:
            number = float(share)
        except (TypeError, ValueError):
            number = math.nan
        if not name or not 0 < number < math.inf or name in found:
            raise UsageError(
                f"--shares must be {IN_TRAINING}, or a positive number for each type, such as park=3,school=1; got"
                f" {str(value)[:60]!r}"
            )
        found[name] = number
    return found


def label_places(
    model: Model, dataset: Dataset, types: tuple[str, ...], out: Path, *, view: str | None, title: str | None,
    shares: Shares = None, progress: Progress = SILENT,
) -> TypedReport:  # fmt: skip
    """Write the types of a dataset's places; the extension of ``out`` selects the format.

    Raises:
        UsageError: an unsupported extension, or types that cannot be compared.
    """
    from placevec.inference.typed_places import (
        report_of,
        type_places,
        write_typed_geojson,
        write_typed_table,
    )

    kind = out.suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"--out must end in {', '.join(KINDS)} with --types; got {out.name!r}")
    if title is not None and kind not in (".html", ".png"):
        raise UsageError("--title applies only to .png and .html")
    if kind == ".png":
        from placevec.explorer.figures.plots import require_plots

        require_plots(())
    atomic.check_writable(out)
    found = type_places(model, dataset, _named(dataset, types), view=view, shares=shares, progress=progress)
    if kind == ".parquet":
        write_typed_table(found, out)
    elif kind == ".geojson":
        write_typed_geojson(found, out)
    elif kind == ".png":
        from placevec.explorer.figures.type_map import write_type_map

        write_type_map(found, out, title=title)
    else:
        _page(found, out, title, progress)
    return report_of(found, out)


def _named(dataset: Dataset, types: tuple[str, ...]) -> tuple[str, ...]:
    """The types, with those of the dataset's entities, the most frequent first, where ``entities`` is asked for."""
    if types != (FROM_ENTITIES,):
        return types
    from placevec.datasets.entities import FILE, has_entities, summary_of

    if not has_entities(dataset):
        raise InputError(f"{dataset.path} has no entities: name types, such as --types park,school,harbor")
    return tuple(summary_of(dataset.path / FILE).types)


def _page(found: TypedPlaces, out: Path, title: str | None, progress: Progress) -> None:
    """The page of `explore`, colored by the prediction and its probability."""
    import numpy as np
    import pandas as pd

    from placevec.api.inputs import window_m
    from placevec.explorer.pages.page import page_of
    from placevec.explorer.sample import Drawn

    vectors = found.model.vectors(found.dataset, found.rows, view=found.view, progress=progress)
    table = found.model.tables(found.dataset, found.rows, {found.view: vectors}).of(found.view)
    codes = found.codes
    columns = pd.DataFrame(
        {
            "place_id": table.place_id,
            "prediction": [found.guesses.types[code] for code in codes],
            "probability": found.probabilities[np.arange(len(codes)), codes],
        }
    )
    drawn = Drawn.of(
        table,
        dataset=found.dataset,
        columns=columns,
        window_m=window_m(table, found.model),
        progress=progress,
    )
    page_of(drawn, out, title=title or f"Types of places: {found.dataset.name}")
