"""Samplers, which choose the places of each batch: pairs by distance, or places with labels, images or other views.

Samplers return what to read (core.Look), not pixels. ``draw(step, rank, world)`` is a pure function: the global batch
depends only on (seed, step), and each of ``world`` processes takes its slice of it. So the batches are the same for any
number of processes, and a resumed run needs no sampler state.

Samplers only use the ``rows`` they are given. Pass the training rows of a split, and held-out places are never anchors,
positives or negatives. Windows between places (``positives="disc"``, shifts) reach up to ``reach_m`` meters beyond the
training places; a split with a buffer of at least ``reach_m`` plus the width of a window keeps them out of held-out
areas.
"""

from placevec.training.samplers.founding import BoxSampler, TileSampler
from placevec.training.samplers.near_far import NearFarSampler
from placevec.training.samplers.rows import PairSampler

__all__ = ["BoxSampler", "NearFarSampler", "PairSampler", "TileSampler"]
