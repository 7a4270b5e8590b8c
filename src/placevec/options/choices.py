"""What an option may say, where it is one of a few words: light to import, so that help need not load what they do."""

from __future__ import annotations

from typing import Literal

Metric = Literal["cosine", "euclidean", "manhattan", "dot"]
"""Distance between vectors."""
StoredType = Literal["float32", "float16", "int8"]
"""Numbers of vectors in a file."""
ClusterMethod = Literal["kmeans", "hdbscan"]
Scaling = Literal["unit", "standardized", "raw"]
"""Of vectors before they are clustered."""
Reduction = Literal["pca", "tsne", "umap"]
"""From vectors to two or three numbers."""
Effort = Literal["quick", "full"]
"""Size of the probes of an evaluation."""
Probe = Literal["ridge", "trained", "kNN"]
"""Of location encoders."""
Folds = Literal["blocks", "random"]
"""How points are divided for testing."""
Rows = Literal["auto", "xyz", "tms"]
"""Direction of the rows of tiles."""
Variant = Literal["corrected", "original"]
"""Of a location encoder."""
