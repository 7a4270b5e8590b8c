"""Train the model that comes with placevec, as it was trained: preset ``multitask`` on every extract at hand but Helsinki.

    python -m benchmarks.base OUT [--minutes 10]

Helsinki's extracts are left out, so that ``placevec demo`` shows the model on ground that it has never seen.
The model is written to OUT/base; copy it to src/placevec/models/base.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.transfer import prepared
from placevec import api
from placevec.recipes.loc2vec.config import PRESENCE

LEFT_OUT = "helsinki"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="processor time")
    arguments = parser.parse_args()
    datasets = [dataset for dataset in prepared(arguments.out) if LEFT_OUT not in dataset.name]
    options: dict[str, Any] = {
        "preset": "multitask", "presence": 0.0, "validation_share": 0.0, "validation_steps": 0,
    }  # fmt: skip
    pace = arguments.out / "pace-base"
    spent = []
    for steps in (4, 24):
        began = time.process_time()
        api.train("loc2vec", datasets, out=pace, force=True, epochs=1, steps_per_epoch=steps, **options)
        spent.append(time.process_time() - began)
    steps = max(20, int(arguments.minutes * 60 * 20 / max(spent[1] - spent[0], 1e-3)))
    epochs = 10
    model = api.train(
        "loc2vec", datasets, out=arguments.out / "base-run", force=True, epochs=epochs,
        steps_per_epoch=steps // epochs, **options,
    )  # fmt: skip
    model.training.pop("dataset_path", None)
    tile: Any = model.modules["tile"]
    tile.presence = PRESENCE  # the included model was trained without it; no weight depends on it
    model.save(arguments.out / "base")
    print(
        f"{steps} steps on {model.training['places']:,} places of {len(datasets)} extracts: {arguments.out / 'base'}"
    )


if __name__ == "__main__":
    main()
