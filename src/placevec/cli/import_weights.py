"""``placevec import-weights``: converts weights of another system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from placevec.api.weights import import_weights
from placevec.cli.output import clean, print_json, say
from placevec.cli.signature import taking_keywords_of
from placevec.errors import InputError, UsageError

HELP = """\
Supports the original Loc2Vec systems (loc2vec-12, loc2vec-rgb), the original Where2Vec (where2vec-s2) and location
encoders: those of TorchSpatial (torchspatial) and SINR (sinr), with their classes, and those of CSP (csp), GeoCLIP
(geoclip), SatCLIP (satclip) and Climplicit (climplicit). You provide the file; nothing is downloaded. Its SHA-256 and
license are printed and kept in the model.

Such a file is a pickle. Only its tensors and plain values are read, nothing in it is executed, and every shape is
checked. Still, it is only read with your consent.

For example:

  placevec import-weights best_model.pth --as loc2vec-12 --out models/kyiv --yes-i-trust-this-file

  placevec import-weights model_final.pt --as loc2vec-rgb --zoom 18 --out models/rgb

  placevec import-weights best_epoch_150.pt --as where2vec-s2 --out models/names

  placevec import-weights model_fmow_Sphere2Vec-sphereC+.pth.tar --as torchspatial --classes fmow.txt --out models/fmow

  placevec import-weights location_encoder_weights.pth --as geoclip --out models/geoclip

  placevec import-weights satclip-vit16-l40.ckpt --as satclip --out models/satclip"""


@taking_keywords_of(import_weights, flags={"system": "--as"})
def command(
    file: Path,
    /,
    *,
    out: Path,
    yes_i_trust_this_file: bool = False,
    as_json: bool = False,
    **options: Any,
) -> None:
    """Print where the model is.

    Args:
        yes_i_trust_this_file: Read the file without asking first.
    """
    if not yes_i_trust_this_file:
        if not sys.stdin.isatty():
            raise UsageError(f"reading {file} needs your consent: add --yes-i-trust-this-file")
        _ask(f"Read the weights in {file.name}? Only do this if you know where the file comes from.")
    model = import_weights(file, out=out, **options)
    if as_json:
        print_json({"model": str(out), "hash": model.hash, **model.config()})
        return
    say(f"{model.parameters:,} parameters, vectors of {model.dim} dimensions: {out}")
    origin, license = model.training.get("imported", {}), str(model.training.get("attribution", "unknown"))
    say(f"{clean(license, 200)}; SHA-256 {origin.get('sha256', 'unknown')}")
    if "layers" not in options and options["system"] == "loc2vec-12":
        say(
            f"Note: the layers are assumed to be, in this order, {', '.join(model.seen)}; set --layers if they are not"
        )
    if model.head is not None:
        named = "" if "classes" in options else "; add their names with --classes FILE"
        say(f"It predicts {len(model.head.classes):,} classes{named}")
        say(f"Next: placevec predict {out} --class '{_first(model.head.classes)}' --out map.png")
        return
    bare = model.bare
    say(f"Next: placevec embed {out} {'POINTS.csv' if bare else 'DATASET'} -o E.parquet")


def _ask(question: str) -> None:
    """InputError unless the user answers yes at the terminal."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("the file was not read because you did not consent")


def _first(classes: tuple[str, ...]) -> str:
    from placevec.cli.output import clean

    return clean(classes[0].replace("'", " "))
