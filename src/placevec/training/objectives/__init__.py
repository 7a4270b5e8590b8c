"""Training objectives (losses), one file per family, each with its formula and source."""

from placevec.training.objectives.contrastive import InfoNCE, info_nce
from placevec.training.objectives.triplet import SoftPN, TripletLoss, softpn, triplet_hinge

__all__ = ["InfoNCE", "SoftPN", "TripletLoss", "info_nce", "softpn", "triplet_hinge"]
