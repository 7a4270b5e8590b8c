"""``placevec import-weights``: bring in the weights of a founding system."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from placevec.cli.output import JSON, print_json, say
from placevec.errors import UsageError

NAME = "import-weights"
HELP = """Bring in the weights of a founding Loc2Vec (.pt or .pth) as a model directory with safetensors.

Such a file is a pickle. Only its tensors and plain values are read, nothing in it is run, and every shape is checked;
still, it is read only with your consent.

Examples:

  placevec import-weights best_model.pth --as loc2vec-12 --out models/kyiv --yes-i-trust-this-file

  placevec import-weights model_final.pt --as loc2vec-rgb --zoom 18 --out models/rgb
"""


def command(
    file: Path = typer.Argument(..., help="The checkpoint: .pt or .pth."),
    system: str = typer.Option(..., "--as", help="loc2vec-12 or loc2vec-rgb."),
    out: Path = typer.Option(..., "--out", "-o", help="Model directory to make."),
    zoom: int = typer.Option(17, help="Zoom of the tiles that it was trained on."),
    layers: str | None = typer.Option(
        None,
        help="Its input channels in its order, separated by commas. The 12-layer code took them as its disk listed"
        " the folders; without this option they are taken to be in placevec's order.",
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
    model = api.import_weights(file, system=system, out=out, zoom=zoom, layers=names)
    if as_json:
        print_json({"model": str(out), "hash": model.hash, **model.config()})
        return
    say(f"{model.parameters:,} parameters, vectors of {model.dim} numbers: {out}")
    if names is None and system == "loc2vec-12":
        say(
            f"Note: its layers are taken to be, in this order: {', '.join(model.seen)}; --layers says otherwise"
        )
    say(f"Next: placevec embed {out} DATASET -o E.parquet")
