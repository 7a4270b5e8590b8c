"""Converts location encoders of TorchSpatial (github.com/seai-lab/TorchSpatial, MIT), ``.pth.tar``, to models with a
head.

A checkpoint holds ``state_dict`` (the feed-forward network, the class embedding, and a user embedding that is ignored)
and ``params`` (all options of its training). Its encoders are those of Sphere2Vec as published in code, so they use
``variant="original"``; its class embedding becomes a `Head` of kind ``presence``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from placevec.encoders.locations.encoder import LocationEncoder
from placevec.errors import InputError, ModelError
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.io.progress import printable
from placevec.models.heads import MAX_CLASSES, Head
from placevec.models.importers.writer import Imported

KINDS = {
    "xyz": "xyz",
    "wrap": "wrap",
    "wrap_ffn": "wrap+ffn",
    "rbf": "rbf",
    "rff": "rff",
    "Space2Vec-grid": "grid",
    "Space2Vec-theory": "theory",
    "NeRF": "NeRF",
    "Sphere2Vec-sphereC": "sphereC",
    "Sphere2Vec-sphereC+": "sphereC+",
    "Sphere2Vec-sphereM": "sphereM",
}
"""TorchSpatial's name of an encoder -> placevec's."""
_ONE_SCALE = (
    "its code computes the frequencies of this encoder from max_radius alone, so that with 1 they are all equal, and "
    "no file was available to check it"
)
_UNREADABLE = {
    "Sphere2Vec-sphereM+": _ONE_SCALE,
    "Sphere2Vec-dfs": _ONE_SCALE,
    "tile_ffn": "its table has one cell, because the code ignores the cell size: the output is the same everywhere",
    "spherical_harmonics": "the function that it calls is not part of the published code",
}
_MULTI_SCALE = ("grid", "theory", "sphereC", "sphereC+", "sphereM", "sphereM+", "dfs")
_AS_PUBLISHED = {
    "use_layn": True, "skip_connection": True, "freq_init": "geometric", "loc_encode": "encode_cos_sin",
    "use_date_feats": False,
}  # fmt: skip
_FIRST, _CLASSES = "network.layers.0.linear.weight", "class_emb.weight"
_LONGEST_NAMES = 2**24
_ATTRIBUTION = "TorchSpatial (Wu et al. 2024), MIT license; its data products are CC BY-NC 4.0"


def convert(file: Path, classes: Path | None = None, training_points: Path | None = None) -> Imported:
    """Read a checkpoint; arguments and errors as in `placevec.models.importers.import_locations`."""
    content = read_checkpoint(file)
    params = params_of(content, file, "TorchSpatial")
    kind = _kind(params, file)
    held = tensors_in(content, file, ("state_dict",))
    tensors = renamed(held, kind)
    points = None if training_points is None else read_lonlat(training_points)
    encoder = encoder_of(kind, params, tensors, points, file)
    head = head_of(tensors, encoder.dim, classes, file)
    told = printable(str(params.get("dataset", "an unnamed dataset")))[:60]
    return Imported(
        encoder,
        _ATTRIBUTION,
        f"{told}, by TorchSpatial's own code",
        params["spa_enc_type"],
        held,
        tensors,
        head,
        classes is not None,
    )


def params_of(content: Any, file: Path, system: str) -> Mapping[str, Any]:
    """The options of a checkpoint, ``spa_enc_type`` among them; ModelError without, which names the system."""
    params = content.get("params") if isinstance(content, Mapping) else None
    if not isinstance(params, Mapping) or not isinstance(params.get("spa_enc_type"), str):
        raise ModelError(f"{file} is not a checkpoint of {system}: it has no params with spa_enc_type")
    return params


def _kind(params: Mapping[str, Any], file: Path) -> str:
    """placevec's name of the encoder; ModelError if the encoder or one of its options is not supported."""
    theirs = str(params["spa_enc_type"])
    if theirs in _UNREADABLE:
        raise ModelError(
            f"{file} has the encoder {theirs!r}, which cannot be imported: {_UNREADABLE[theirs]}"
        )
    if theirs not in KINDS:
        raise ModelError(f"{file} has the unknown encoder {theirs[:40]!r}: supported are {', '.join(KINDS)}")
    check_published(params, file)
    return KINDS[theirs]


def check_published(params: Mapping[str, Any], file: Path) -> None:
    """ModelError for an option of the network or the frequencies that is not supported."""
    for name, expected in _AS_PUBLISHED.items():
        if params.get(name, expected) != expected:
            raise ModelError(
                f"{file} was trained with {name} {str(params[name])[:40]!r}: only {expected!r} is supported"
            )


def renamed(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors by placevec's names, without the user embedding."""
    names = {"spa_enc.ffn.": "network.", "feats.": "network.feats."}
    found = {}
    for key, value in tensors.items():
        for theirs, ours in names.items():
            if key.startswith(theirs):
                found[ours + key[len(theirs) :]] = value
        if key.startswith("class_emb."):
            found[key] = value
    if kind == "rff":
        for theirs, ours in (("dirvec", "directions"), ("shift", "shifts")):
            if f"spa_enc.position_encoder.{theirs}" in tensors:
                found[f"positional.{ours}"] = tensors[f"spa_enc.position_encoder.{theirs}"]
    return found


def encoder_of(
    kind: str, params: Mapping[str, Any], tensors: dict[str, Tensor], points: Any, file: Path
) -> LocationEncoder:
    """The encoder described by ``params``, with its weights."""
    options: dict[str, Any] = {}
    if kind in _MULTI_SCALE:
        options = {
            "scales": _whole(params, "frequency_num", file),
            "r_min": _real(params, "min_radius", file),
            "r_max": _real(params, "max_radius", file),
        }
    elif kind == "NeRF":  # frequency_num is not passed on: it follows from the first layer
        options = {"scales": _columns(tensors, _FIRST, file) // 6}
    elif kind == "rff":
        options = {
            "frequencies": _whole(params, "frequency_num", file),
            "kernel_size": _real(params, "rbf_kernel_size", file),
            "extent": _extent(params, file),
        }
    elif kind == "rbf":
        anchors = _anchors(params, points, file)
        options = {"anchors": len(anchors), "sigma": _real(params, "rbf_kernel_size", file)}
        tensors["positional.anchors"] = torch.from_numpy(anchors)
    elif points is not None:
        raise InputError(f"--training-points is only for rbf: {file} has {params['spa_enc_type']}")
    network: dict[str, Any] = {"dropout": _real(params, "dropout", file)}
    if kind != "wrap":
        network |= {
            "hidden": _whole(params, "hidden_dim", file),
            "layers": _whole(params, "num_hidden_layer", file),
            "activation": str(params.get("spa_f_act", "relu")),
        }
    dim = _whole(params, "num_filts", file)

    def build() -> nn.Module:
        return LocationEncoder(kind, dim=dim, variant="original", options=options, **network)

    found = filled(build, tensors, file, f"TorchSpatial's {params['spa_enc_type']}")
    assert isinstance(found, LocationEncoder)
    return found


def _anchors(params: Mapping[str, Any], points: Any, file: Path) -> Any:
    """(M, 2) float64 lon, lat of an rbf encoder's anchors: rows of its training points."""
    rows = params.get("rbf_anchor_pt_ids")
    if not isinstance(rows, Sequence) or not rows or not all(type(row) is int and row >= 0 for row in rows):
        raise ModelError(f"{file} does not list which training points are its anchors")
    if points is None:
        raise InputError(
            f"{file} gives the {len(rows)} anchors of its rbf encoder only as positions in its training points: "
            "pass these points, in their original order, with --training-points FILE"
        )
    if max(rows) >= len(points) or not np.isfinite(points[list(rows)]).all():
        raise InputError(
            f"{file} has an anchor at row {max(rows):,} of its training points, but there are "
            f"{len(points):,}, or the anchor has no coordinates: give the points that it was trained on"
        )
    return points[list(rows)].astype(np.float32).astype(np.float64)  # as in its code


def read_lonlat(file: Path) -> Any:
    """(N, 2) float64 lon, lat of a table, in its order."""
    from placevec.sources.tables.points import read_points

    return read_points(file).lonlat


def head_of(
    tensors: Mapping[str, Tensor],
    dim: int,
    classes: Path | None,
    file: Path,
    named: Sequence[str] | None = None,
) -> Head:
    """The class embedding: one sigmoid per class, without an intercept."""
    count = tensors[_CLASSES].shape[0] if _CLASSES in tensors and tensors[_CLASSES].dim() == 2 else 0
    if not 0 < count <= MAX_CLASSES:
        raise ModelError(f"{file} has no class embedding")
    names = [f"class {number}" for number in range(count)] if classes is None else _names(classes, count)
    if classes is None and named is not None and len(named) == count:
        names = list(named)
    weights = {"linear.weight": tensors[_CLASSES]}
    found = filled(lambda: Head(dim, "presence", names), weights, file, f"a head of {count} classes")
    assert isinstance(found, Head)
    return found


def _names(file: Path, count: int) -> list[str]:
    """Class names, one per line; InputError unless there are ``count`` distinct ones."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST_NAMES + 1)
        if len(text) > _LONGEST_NAMES:
            raise ValueError("the file is larger than 16 MiB")
        names = [line.strip() for line in text.decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read class names from {file}: {error}") from error
    if len(names) != count or len(set(names)) < count:
        raise InputError(
            f"{file} has {len(set(names))} distinct class names, one per line, but the checkpoint has {count} classes"
        )
    return names


def _whole(params: Mapping[str, Any], name: str, file: Path) -> int:
    value = params.get(name)
    if type(value) is not int or not 0 <= value <= 2**20:
        raise ModelError(f"{file} is damaged: its {name} is {str(value)[:40]!r}")
    return value


def _real(params: Mapping[str, Any], name: str, file: Path) -> float:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"{file} is damaged: its {name} is {str(value)[:40]!r}")
    return float(value)


def _extent(params: Mapping[str, Any], file: Path) -> tuple[float, ...]:
    """Minimum and maximum longitude, minimum and maximum latitude."""
    extent = params.get("map_range")
    if (
        not isinstance(extent, Sequence)
        or len(extent) != 4
        or not all(type(v) in (int, float) for v in extent)
    ):
        raise ModelError(f"{file} is damaged: its map_range is {str(extent)[:60]!r}")
    return tuple(float(value) for value in extent)


def _columns(tensors: Mapping[str, Tensor], name: str, file: Path) -> int:
    if name not in tensors or tensors[name].dim() != 2:
        raise ModelError(f"{file} has no first layer")
    return int(tensors[name].shape[1])
