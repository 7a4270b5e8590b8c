"""placevec: any place on Earth as a vector.

>>> import placevec as pv
>>> sorted(set(pv.__all__) & {"prepare", "train", "embed", "similar", "evaluate", "explore"})
['embed', 'evaluate', 'explore', 'prepare', 'similar', 'train']

Importing the package is cheap: every name below is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "prepare": "placevec.api",
    "train": "placevec.api",
    "train_encoders": "placevec.api",
    "embed": "placevec.api",
    "embed_points": "placevec.api",
    "similar": "placevec.api",
    "evaluate": "placevec.api",
    "evaluate_model": "placevec.api",
    "explore": "placevec.api",
    "predict": "placevec.api",
    "cluster": "placevec.api",
    "validate": "placevec.api",
    "export": "placevec.api",
    "import_weights": "placevec.api",
    "open_dataset": "placevec.api",
    "load_model": "placevec.api",
    "load_embeddings": "placevec.api",
    "Area": "placevec.geo",
    "Dataset": "placevec.dataset",
    "Embeddings": "placevec.embeddings",
    "LayerTable": "placevec.views.layers",
    "LocationFeatures": "placevec.location_features",
    "Model": "placevec.model",
    "PlaceFeatures": "placevec.features",
    "PlacevecError": "placevec.errors",
}
_ROOMS = ("encoders", "objectives", "sampling", "metrics", "recipes", "geo", "core")

__all__ = [
    "Area",
    "Dataset",
    "Embeddings",
    "LayerTable",
    "LocationFeatures",
    "Model",
    "PlaceFeatures",
    "PlacevecError",
    "__version__",
    "cluster",
    "core",
    "embed",
    "embed_points",
    "encoders",
    "evaluate",
    "evaluate_model",
    "explore",
    "export",
    "geo",
    "import_weights",
    "load_embeddings",
    "load_model",
    "metrics",
    "objectives",
    "open_dataset",
    "predict",
    "prepare",
    "recipes",
    "sampling",
    "similar",
    "train",
    "train_encoders",
    "validate",
]

if TYPE_CHECKING:
    from placevec import core, encoders, geo, metrics, objectives, recipes, sampling
    from placevec.api import (
        cluster,
        embed,
        embed_points,
        evaluate,
        evaluate_model,
        explore,
        export,
        import_weights,
        load_embeddings,
        load_model,
        open_dataset,
        predict,
        prepare,
        similar,
        train,
        train_encoders,
        validate,
    )
    from placevec.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.errors import PlacevecError
    from placevec.features import PlaceFeatures
    from placevec.geo import Area
    from placevec.location_features import LocationFeatures
    from placevec.model import Model
    from placevec.views.layers import LayerTable


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"placevec.{name}")
    else:
        raise AttributeError(f"module 'placevec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
