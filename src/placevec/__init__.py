"""placevec: any place on Earth as a vector.

>>> import placevec as pv
>>> sorted(set(pv.__all__) & {"prepare", "train", "embed", "similar", "evaluate", "explore"})
['embed', 'evaluate', 'explore', 'prepare', 'similar', 'train']

Importing the package is cheap: every name below is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from placevec._version import __version__

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
    "index": "placevec.api",
    "precompute": "placevec.api",
    "validate": "placevec.api",
    "export": "placevec.api",
    "import_vectors": "placevec.api",
    "import_weights": "placevec.api",
    "locate": "placevec.api",
    "open_dataset": "placevec.api",
    "load_model": "placevec.api",
    "load_embeddings": "placevec.api",
    "Area": "placevec.geo",
    "Client": "placevec.service.client",
    "Dataset": "placevec.datasets.dataset",
    "Embeddings": "placevec.embeddings",
    "LayerTable": "placevec.sources.osm.layers",
    "LocationFeatures": "placevec.estimators",
    "Model": "placevec.models.model",
    "PlaceFeatures": "placevec.estimators",
    "PlacevecError": "placevec.errors",
}
_ROOMS = ("encoders", "training", "metrics", "recipes", "geo", "core")

__all__ = [
    "Area",
    "Client",
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
    "import_vectors",
    "import_weights",
    "index",
    "load_embeddings",
    "load_model",
    "locate",
    "metrics",
    "open_dataset",
    "precompute",
    "predict",
    "prepare",
    "recipes",
    "similar",
    "train",
    "train_encoders",
    "training",
    "validate",
]

if TYPE_CHECKING:
    from placevec import core, encoders, geo, metrics, recipes
    from placevec.api import (
        cluster,
        embed,
        embed_points,
        evaluate,
        evaluate_model,
        explore,
        export,
        import_vectors,
        import_weights,
        index,
        load_embeddings,
        load_model,
        locate,
        open_dataset,
        precompute,
        predict,
        prepare,
        similar,
        train,
        train_encoders,
        validate,
    )
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.errors import PlacevecError
    from placevec.estimators import LocationFeatures, PlaceFeatures
    from placevec.geo import Area
    from placevec.models.model import Model
    from placevec.service.client import Client
    from placevec.sources.osm.layers import LayerTable


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
