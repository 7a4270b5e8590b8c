"""``python -m tests.compiled``: compiles what every process of the tests would compile again, once.

What UMAP compiles takes two thirds of a minute in a new environment; the tests themselves, whose assertions pytest
rewrites, 12 seconds. `make test` does it while types are checked.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from placevec.explorer.reductions import reduce_vectors

if __name__ == "__main__":
    if importlib.util.find_spec("umap") is not None:
        for dim in (2, 3):
            reduce_vectors(np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32), "umap", dim=dim)
    if not any(Path(__file__).parent.glob("__pycache__/conftest.*pytest*.pyc")):
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            pytest.main(["--collect-only", "-qq"])  # mistakes in a test are told when the tests run
