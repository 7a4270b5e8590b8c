"""``placevec import-weights``: bring in the weights of another system."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from placevec.cli.output import JSON, print_json, say
from placevec.errors import UsageError

NAME = "import-weights"
HELP = """Bring in weights of another system (.pt, .pth, .pth.tar) as a model directory with safetensors.

Of the founding Loc2Vecs (loc2vec-12, loc2vec-rgb), and of location encoders: those of TorchSpatial with their classes
(torchspatial), and that of GeoCLIP (geoclip). You bring the file; nothing is downloaded.

Such a file is a pickle. Only its tensors and plain values are read, nothing in it is run, and every shape is checked;
still, it is read only with your consent.

Examples:

  placevec import-weights best_model.pth --as loc2vec-12 --out models/kyiv --yes-i-trust-this-file

  placevec import-weights model_final.pt --as loc2vec-rgb --zoom 18 --out models/rgb

  placevec import-weights model_fmow_Sphere2Vec-sphereC+.pth.tar --as torchspatial --classes fmow.txt --out models/fmow

  placevec import-weights location_encoder_weights.pth --as geoclip --out models/geoclip
"""


def command(
    file: Path = typer.Argument(..., help="The checkpoint: .pt, .pth or .pth.tar."),
    system: str = typer.Option(..., "--as", help="loc2vec-12, loc2vec-rgb, torchspatial or geoclip."),
    out: Path = typer.Option(..., "--out", "-o", help="Model directory to make."),
    zoom: int | None = typer.Option(
        None, help="Of a Loc2Vec: zoom of the tiles that it was trained on. Default 17."
    ),
    layers: str | None = typer.Option(
        None,
        help="Of a Loc2Vec: its input channels in its order, separated by commas. The 12-layer code took them as its"
        " disk listed the folders; without this option they are taken to be in placevec's order.",
    ),
    classes: Path | None = typer.Option(
        None,
        help="Of torchspatial: file with the names of its classes, a line each in the order of its outputs. The"
        " checkpoint has none; without this option they are called class 0, class 1, ...",
    ),
    training_points: Path | None = typer.Option(
        None, help="Of torchspatial's rbf: table of the points that it was trained on, in their order."
    ),
    consent: bool = typer.Option(
        False, "--yes-i-trust-this-file", help="Read the file without asking first."
    ),
    as_json: bool = JSON,
) -> None:
    """Call `placevec.api.import_weights` and say where the model is."""
    from placevec import api

    if not consent:
        if not sys.stdin.isatty():
            raise UsageError(f"{file} is read only with consent: add --yes-i-trust-this-file")
        typer.confirm(f"Read the weights in {file.name}? You should know where the file is from.", abort=True)
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
    bare = "coordinates" in model.readings
    say(f"Next: placevec embed {out} {'POINTS.csv' if bare else 'DATASET'} -o E.parquet")


def _first(classes: tuple[str, ...]) -> str:
    from placevec.cli.output import clean

    return clean(classes[0].replace("'", " "))
