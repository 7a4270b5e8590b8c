"""The card of a model in Markdown: what it is, what it was trained on, how to use it, and the attribution required."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from torch import nn

from placevec import encoders
from placevec.core import Fuse
from placevec.datasets.views.registry import reader_of
from placevec.encoders.locations.fields import RasterField
from placevec.io.progress import printable
from placevec.models.heads import Head
from placevec.models.reading import Reading


def _text(value: object) -> str:
    """One line of text from an untrusted manifest, escaped for Markdown that pages render."""
    return html.escape(printable(" ".join(str(value).split())), quote=False)


def model_card(
    *,
    modules: Mapping[str, nn.Module],
    readings: Mapping[str, Reading],
    heads: Mapping[str, Head],
    fuse: Fuse | None,
    dims: Mapping[str, int],
    recipe: Mapping[str, Any],
    training: Mapping[str, Any],
    parameters: int,
    hash: str,
    bare: bool,
) -> str:
    """A model card in Markdown: what the model is, what it was trained on, how to use it, attribution."""
    rows = []
    for name, reading in readings.items():
        spec = reading.spec
        what = f"{_text(reader_of(spec).shows(spec))} | {_text(_called(modules[reading.encoder]))}"
        rows.append(f"| `{_text(name)}` | {_text(', '.join(spec.channels))} | {what} |")
    channels = any(reading.spec.channels for reading in readings.values())
    config = recipe.get("config", {})
    dropped, trained_labels = config.get("drop_layers", ()), config.get("predict", ())
    lines = [
        f"# {recipe.get('name', 'placevec')} model",
        "",
        f"{parameters:,} parameters, {_lengths(dims)}. Hash `{hash[:16]}`.",
        "",
        "| view | channels | window | encoder |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        *(
            [f"Fused views: {_text(', '.join(fuse.views))}. Any subset of them can be used."]
            if fuse is not None
            else []
        ),
        *(line for module in modules.values() for line in _about_rasters(module)),
        f"Trained on {_text(training.get('dataset', 'an unnamed dataset'))} "
        f"(dataset hash `{str(training.get('dataset_hash', ''))[:16]}`, {training.get('places', '?')} places).",
        *([f"Layers left out of the input: {_text(', '.join(dropped)) or 'none'}."] if channels else []),
        *(line for head in heads.values() for line in _about_head(head)),
        *(
            [f"Labels used for training on this area: {_text(', '.join(trained_labels))}."]
            if trained_labels
            else []
        ),
        f"Data: {_text(training.get('attribution', 'unknown'))}.",
        "",
        *_use(bare, bool(heads)),
        "",
    ]
    return "\n".join(lines)


def _lengths(dims: Mapping[str, int]) -> str:
    """The length of the vectors, in words."""
    if len(set(dims.values())) == 1:
        return f"vectors of {next(iter(dims.values()))} dimensions"
    return "vectors of " + ", ".join(f"{dim} dimensions ({_text(name)})" for name, dim in dims.items())


def _called(module: nn.Module) -> str:
    """The name of an encoder; for location encoders also their kind."""
    own = getattr(module, "encoder", None)
    return encoders.name_of(module) + (f" {own}" if isinstance(own, str) else "")


def _about_rasters(module: nn.Module) -> list[str]:
    """The rasters that a location encoder holds, a line each."""
    sources = [field.source for field in getattr(module, "rasters", ()) if isinstance(field, RasterField)]
    return [f"Holds and reads a raster: {_text(str(source))}." for source in sources if source is not None]


def _about_head(head: Head) -> list[str]:
    shown = ", ".join(_text(name)[:40] for name in head.classes[:8])
    more = f" and {len(head.classes) - 8:,} more" if len(head.classes) > 8 else ""
    if head.kind == "number":
        return [f"Predicts a number: mean {head.mean:g}, standard deviation {head.deviation:g} in training."]
    how = (
        "independent probability of each class" if head.kind == "presence" else "probability over all classes"
    )
    return [f"Predicts {len(head.classes):,} classes ({how}): {shown}{more}."]


def _use(bare: bool, predicts: bool) -> list[str]:
    if bare:
        judged = ["To evaluate its predictions: `placevec evaluate MODEL`."] if predicts else []
        return [
            "Usage: `placevec embed MODEL POINTS.csv -o E.parquet`. Do not compare vectors from different models.",
            *judged,
        ]
    return [
        "Usage: `placevec embed MODEL DATASET -o E.parquet`. Do not compare vectors from different models.",
        "To compare its vectors with baselines: `placevec evaluate E.parquet`.",
    ]
