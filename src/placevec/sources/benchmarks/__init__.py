"""Benchmarks of species and scenes as their authors laid them out in folders: one file a layout.

They are those of O. Mac Aodha et al., "Presence-Only Geographical Priors for Fine-Grained Image Classification", ICCV
2019, and of the location encoders that followed it: iNaturalist 2017 and 2018, BirdSnap, NABirds, YFCC100M-GEO100
and fMoW. Predictions of image classifiers that lie beside them are found. Files are the user's: nothing is downloaded.
"""

from placevec.sources.benchmarks.layout import Layout, Part
from placevec.sources.benchmarks.registry import LAYOUTS, read_layout

__all__ = ["LAYOUTS", "Layout", "Part", "read_layout"]
