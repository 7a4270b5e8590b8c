"""Which places meet in a batch: pairs by distance, and places with what else is known of them.

Samplers speak in numbers (core.Look), never in pixels. ``draw(step, rank, world)`` is a pure function: the global
batch follows from (seed, step) alone, and each of ``world`` processes takes its own slice of it, so that the same
batches come at any number of processes, and a resumed run needs no state.

No sampler looks beyond the ``rows`` it was given. Pass the training rows of a split: what is held out is then never
an anchor, a positive or a negative. Windows between places (``positives="disc"``, shifts) reach ``reach_m`` beyond
the training places; a split whose buffer is at least that plus a window's width keeps them off held-out ground.
"""

from placevec.training.samplers.founding import BoxSampler, TileSampler
from placevec.training.samplers.near_far import NearFarSampler
from placevec.training.samplers.rows import FixedPairs, PairSampler

__all__ = ["BoxSampler", "FixedPairs", "NearFarSampler", "PairSampler", "TileSampler"]
