"""The screens of the app, one file each; every one is a function of the project."""

from collections.abc import Callable

from placevec.app.project import Project
from placevec.app.screens import dashboard, gallery, labeling, place, projector, search, sets

SCREENS: dict[str, Callable[[Project], None]] = {
    "Projector": projector.show,
    "Similarity search": search.show,
    "Sets": sets.show,
    "Gallery": gallery.show,
    "Place": place.show,
    "Labels": labeling.show,
    "Statistics": dashboard.show,
}
"""Name -> screen, in the order of the choice."""
