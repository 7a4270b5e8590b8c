"""Nearest-neighbor search over vectors: similar places."""

from placevec.embeddings.search.exact import METRICS, ExactIndex, Index
from placevec.embeddings.search.query import similar
from placevec.options.choices import Metric

__all__ = ["METRICS", "ExactIndex", "Index", "Metric", "similar"]
