"""Nearest vectors: which places are like this one."""

from placevec.embeddings.search.exact import METRICS, ExactIndex, Index, Metric
from placevec.embeddings.search.query import similar

__all__ = ["METRICS", "ExactIndex", "Index", "Metric", "similar"]
