"""Hex2vec of srai (Apache-2.0) on counts and neighbors that are given: run by an interpreter that has srai and torch.

    PYTHON benchmarks/peers/hex2vec.py INPUT.npz OUTPUT.npy

INPUT has ``train`` (N, K) and ``every`` (M, K) counts of points of interest, ``edges`` (2, E) pairs of neighboring rows of
``train``, and ``seed``. Networks, sizes, learning rate, batches and epochs are those that srai sets where nothing is said;
negatives lie more than two steps away. OUTPUT is (M, 50).

Source: Wozniak and Szymanski 2021, arXiv:2111.00970; https://github.com/kraina-ai/srai.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def vectors(python: str, train: np.ndarray, every: np.ndarray, edges: np.ndarray, seed: int) -> np.ndarray:
    """(M, 50) vectors, trained by another interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npy"
        np.savez(given, train=train, every=every, edges=edges, seed=seed)
        subprocess.run([python, __file__, str(given), str(made)], check=True, cwd=folder)
        return np.load(made)


def _main(given: str, made: str) -> None:
    import pandas as pd
    import pytorch_lightning as lightning
    import torch
    from srai.embedders import Hex2VecEmbedder
    from srai.embedders.hex2vec.model import Hex2VecModel
    from srai.embedders.hex2vec.neighbour_dataset import NeighbourDataset
    from srai.neighbourhoods import Neighbourhood

    stored = np.load(given)
    near: dict[int, set[int]] = {row: set() for row in range(len(stored["train"]))}
    for one, other in stored["edges"].T.tolist():
        near[one].add(other)
        near[other].add(one)

    methods = {"get_neighbours": lambda _, index, include_center=None: set(near[index])}
    given_pairs = type("Given", (Neighbourhood,), methods)()
    torch.set_num_threads(1)
    lightning.seed_everything(int(stored["seed"]), verbose=False)
    counts = pd.DataFrame(stored["train"].astype(np.float32))
    sizes = [counts.shape[1], *Hex2VecEmbedder.DEFAULT_ENCODER_SIZES]
    model = Hex2VecModel(layer_sizes=sizes, learning_rate=0.001)
    batches = torch.utils.data.DataLoader(
        NeighbourDataset(counts, given_pairs, 2), batch_size=32, shuffle=True
    )
    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, batches)
    with torch.no_grad():
        np.save(made, model(torch.from_numpy(stored["every"].astype(np.float32))).numpy())


if __name__ == "__main__":
    _main(*sys.argv[1:])
