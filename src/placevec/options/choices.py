"""Options with a few allowed words: light to import, so that help does not load the code behind them."""

from __future__ import annotations

from typing import Literal

Metric = Literal["cosine", "angular", "euclidean", "manhattan", "dot"]
"""Distance between vectors."""
Backend = Literal["exact", "hnsw", "ivf", "annoy"]
"""Kind of index."""
Approximate = Literal["hnsw", "ivf", "annoy"]
"""Kind of index that is built once and stored."""
Storage = Literal["float32", "int8", "bits"]
"""Numbers of an index that are compared first; the best are compared again in full."""
StoredType = Literal["float32", "float16", "int8"]
"""Type of the numbers in a file of vectors."""
ClusterMethod = Literal["kmeans", "hdbscan"]
Scaling = Literal["unit", "standardized", "raw"]
"""Scaling of vectors before clustering."""
Reduction = Literal["pca", "tsne", "umap"]
"""Reduction of vectors to two or three numbers."""
Effort = Literal["quick", "full"]
"""Size of the probes of an evaluation."""
LabelKind = Literal["classification", "multilabel", "regression", "presence", "distribution", "retrieval"]
"""What columns of labels are."""
Probe = Literal["ridge", "trained", "kNN"]
"""Probe for location encoders."""
Folds = Literal["blocks", "random"]
"""How places are split for testing."""
CellGrid = Literal["quadkey", "h3"]
"""Grid whose cells divide a table into parts."""
Rows = Literal["auto", "xyz", "tms"]
"""Direction of the rows of tiles."""
Clock = Literal["utc", "solar"]
"""Hours of the day: in UTC, or mean solar time."""
Variant = Literal["corrected", "original"]
"""Variant of a location encoder."""
EngineName = Literal["local", "ray"]
"""Where the parts of a job are made: on this machine, or by workers of a Ray cluster."""
