"""Nearest vectors: which places are like this one."""

from placevec.search.exact import METRICS, ExactIndex, Index, Metric
from placevec.search.query import similar

__all__ = ["METRICS", "ExactIndex", "Index", "Metric", "similar"]
