"""``placevec import-weights``: bring in the weights of another system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from placevec.cli.output import print_json, say
from placevec.cli.signature import Flag, Json
from placevec.errors import InputError, UsageError

HELP = """\
Of the founding Loc2Vecs (loc2vec-12, loc2vec-rgb), and of location encoders: those of TorchSpatial with
their classes (torchspatial), and that of GeoCLIP (geoclip). You bring the file; nothing is downloaded.

Such a file is a pickle. Only its tensors and plain values are read, nothing in it is run, and every shape
is checked; still, it is read only with your consent.

For example:

  placevec import-weights best_model.pth --as loc2vec-12 --out models/kyiv --yes-i-trust-this-file

  placevec import-weights model_final.pt --as loc2vec-rgb --zoom 18 --out models/rgb

  placevec import-weights model_fmow_Sphere2Vec-sphereC+.pth.tar --as torchspatial --classes fmow.txt --out models/fmow

  placevec import-weights location_encoder_weights.pth --as geoclip --out models/geoclip"""


def command(
    file: Path,
    /,
    *,
    system: Annotated[str, Parameter(name="--as")],
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    zoom: int | None = None,
    layers: str | None = None,
    classes: Path | None = None,
    training_points: Path | None = None,
    consent: Annotated[Flag, Parameter(name="--yes-i-trust-this-file")] = False,
    as_json: Json = False,
) -> None:
    """Call `placevec.api.import_weights` and say where the model is.

    Args:
        file: Checkpoint: .pt, .pth or .pth.tar.
        system: System that it is of: loc2vec-12, loc2vec-rgb, torchspatial or geoclip.
        out: Model directory to make.
        zoom: Zoom of the tiles that a Loc2Vec was trained on (default 17).
        layers: Input channels of a Loc2Vec in its order, separated by commas (default: placevec's order; the 12-layer
            code took them as its disk listed the folders).
        classes: File with the names of the classes of torchspatial, a line each in the order of its outputs (default:
            class 0, class 1, ...; the checkpoint has none).
        training_points: Table of the points that the rbf of torchspatial was trained on, in their order.
        consent: Read the file without asking first.
    """
    from placevec import api

    if not consent:
        if not sys.stdin.isatty():
            raise UsageError(f"{file} is read only with consent: add --yes-i-trust-this-file")
        _ask(f"Read the weights in {file.name}? You should know where the file is from.")
    names = None if layers is None else tuple(part.strip() for part in layers.split(",") if part.strip())
    model = api.import_weights(
        file, system=system, out=out, zoom=zoom, layers=names, classes=classes,
        training_points=training_points,
    )  # fmt: skip
    if as_json:
        print_json({"model": str(out), "hash": model.hash, **model.config()})
        return
    say(f"{model.parameters:,} parameters, vectors of {model.dim} numbers: {out}")
    if names is None and system == "loc2vec-12":
        say(
            f"Note: its layers are taken to be, in this order: {', '.join(model.seen)}; --layers says otherwise"
        )
    if model.head is not None:
        named = "" if classes else "; --classes FILE names them"
        say(f"It answers for {len(model.head.classes):,} classes{named}")
        say(f"Next: placevec predict {out} --class '{_first(model.head.classes)}' --out map.png")
        return
    bare = model.bare
    say(f"Next: placevec embed {out} {'POINTS.csv' if bare else 'DATASET'} -o E.parquet")


def _ask(question: str) -> None:
    """InputError unless the answer at the terminal is yes."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("the file was not read, since there was no consent")


def _first(classes: tuple[str, ...]) -> str:
    from placevec.cli.output import clean

    return clean(classes[0].replace("'", " "))
