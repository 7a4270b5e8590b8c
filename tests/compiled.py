"""``python -m tests.compiled``: compiles what UMAP compiles, once, so that no test waits for it.

In a new environment this takes two thirds of a minute, in every process that asks at the same time; `make test` does
it on the core that checking types leaves idle.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from placevec.explorer.reductions import reduce_vectors

if __name__ == "__main__" and importlib.util.find_spec("umap") is not None:
    for dim in (2, 3):
        reduce_vectors(np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32), "umap", dim=dim)
