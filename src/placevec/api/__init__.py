"""The public functions: prepare, train, embed, similar, evaluate, explore and others.

The command line and notebooks call them; each can be run again after an interruption. One module per command.
"""

from placevec.api.benchmarking import benchmark_encoders
from placevec.api.categories import picture_categories, similar_categories
from placevec.api.clustering import cluster
from placevec.api.embedding import embed
from placevec.api.embedding_points import PointsEmbedded, embed_points
from placevec.api.evaluating import evaluate, evaluate_model, evaluate_words
from placevec.api.exploring import Explored, explore
from placevec.api.importing_vectors import import_vectors
from placevec.api.indexing import Indexed, Precomputed, index, precompute
from placevec.api.inputs import (
    PathLike,
    load_embeddings,
    load_model,
    open_dataset,
    recorded_dataset,
    recorded_model,
)
from placevec.api.locating import locate
from placevec.api.plotting import picture_curves, picture_kernels, picture_latitude, picture_words
from placevec.api.predicting import predict
from placevec.api.preparing import prepare
from placevec.api.searching import similar
from placevec.api.tiles import export
from placevec.api.training import train
from placevec.api.training_encoders import TrainedEncoder, train_encoders
from placevec.api.validating import validate
from placevec.api.weights import import_weights

__all__ = [
    "Explored",
    "Indexed",
    "PathLike",
    "PointsEmbedded",
    "Precomputed",
    "TrainedEncoder",
    "benchmark_encoders",
    "cluster",
    "embed",
    "embed_points",
    "evaluate",
    "evaluate_model",
    "evaluate_words",
    "explore",
    "export",
    "import_vectors",
    "import_weights",
    "index",
    "load_embeddings",
    "load_model",
    "locate",
    "open_dataset",
    "picture_categories",
    "picture_curves",
    "picture_kernels",
    "picture_latitude",
    "picture_words",
    "precompute",
    "predict",
    "prepare",
    "recorded_dataset",
    "recorded_model",
    "similar",
    "similar_categories",
    "train",
    "train_encoders",
    "validate",
]
