"""Benchmarks of species and scenes in the folder layouts of their authors: one module per layout.

They are those of O. Mac Aodha et al., "Presence-Only Geographical Priors for Fine-Grained Image Classification", ICCV
2019, and of later location encoders: iNaturalist 2017 and 2018, BirdSnap, NABirds, YFCC100M-GEO100 and fMoW.
Predictions of image classifiers in the same folder are found. The user provides the files: nothing is downloaded.
"""

from placevec.sources.benchmarks.layout import Layout, Part
from placevec.sources.benchmarks.registry import LAYOUTS, read_layout

__all__ = ["LAYOUTS", "Layout", "Part", "read_layout"]
