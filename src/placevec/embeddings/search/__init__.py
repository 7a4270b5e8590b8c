"""Nearest-neighbor search over vectors: similar places, by indexes that are exact, approximate or short codes."""

from placevec.embeddings.search.approximate import available
from placevec.embeddings.search.exact import ExactIndex
from placevec.embeddings.search.index import Index
from placevec.embeddings.search.metrics import METRICS
from placevec.embeddings.search.query import similar
from placevec.embeddings.search.stored import open_index
from placevec.options.choices import Backend, Metric, Storage

__all__ = [
    "METRICS",
    "Backend",
    "ExactIndex",
    "Index",
    "Metric",
    "Storage",
    "available",
    "open_index",
    "similar",
]
