"""Location encoders of CSP (Mai et al. 2023, github.com/gengchenmai/csp) and of Sphere2Vec's code: ``.pth.tar``.

They are those of TorchSpatial's predecessors, by their founding names (``sphere``, ``gridcell``, ...). A model of images
and places (``loc_enc.``) holds its location encoder twice, besides projections of images, which are left out. The class
embedding of a model that never saw labels is random, so there is a head only with ``classes``.
"""

from __future__ import annotations

from pathlib import Path

from placevec.encoders.locations.names import FAMILIES, known_as
from placevec.errors import ModelError
from placevec.io.checkpoints import read_checkpoint, tensors_in
from placevec.io.progress import printable
from placevec.models.importers import torchspatial
from placevec.models.importers.writer import Imported

_ATTRIBUTION = "CSP (Mai et al. 2023); its repository states no license, so ask its authors before sharing"


def convert(file: Path, classes: Path | None = None, training_points: Path | None = None) -> Imported:
    """Read a checkpoint; arguments and errors as in `import_locations`."""
    content = read_checkpoint(file)
    params = torchspatial.params_of(content, file, "CSP")
    kind = known_as(params["spa_enc_type"])
    if FAMILIES[kind].original is None:
        raise ModelError(f"{file} has the encoder {params['spa_enc_type'][:40]!r}, which is not one of CSP's")
    torchspatial.check_published(params, file)
    held = tensors_in(content, file, ("state_dict",))
    tensors = torchspatial.renamed({_plain(key): value for key, value in held.items()}, kind)
    points = None if training_points is None else torchspatial.read_lonlat(training_points)
    encoder = torchspatial.encoder_of(kind, params, tensors, points, file)
    head = None if classes is None else torchspatial.head_of(tensors, encoder.dim, classes, file)
    told = printable(str(params.get("dataset", "an unnamed dataset")))[:60]
    return Imported(
        encoder, _ATTRIBUTION, f"{told}, by CSP's own code", params["spa_enc_type"], held, tensors, head,
        classes is not None,
    )  # fmt: skip


def _plain(key: str) -> str:
    """A tensor's name without the wrapping of a model of images and places."""
    key = key.removeprefix("loc_enc.")
    return key.removeprefix("spa_enc.") if key.startswith("spa_enc.feats.") else key
