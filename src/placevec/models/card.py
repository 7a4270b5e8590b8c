"""The card of a model: what it is, what it saw, how to use it and whose data it owes, in Markdown that pages render."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from placevec import encoders
from placevec.core import COORDINATES, ViewSpec
from placevec.io.progress import printable
from placevec.models.heads import Head

if TYPE_CHECKING:
    from torch import nn

    from placevec.models.model import Model


def _text(value: object) -> str:
    """One line of text out of a manifest, which may be anybody's, for Markdown that pages render."""
    return html.escape(printable(" ".join(str(value).split())), quote=False)


def model_card(model: Model) -> str:
    """A model card in Markdown: what it is, what it saw, how to use it, whose data."""
    training, recipe = model.training, model.recipe
    rows = []
    for name, reading in model.readings.items():
        spec = reading.spec
        module = model.modules[reading.encoder]
        what = f"{_window(spec)} | {_text(_called(module))}"
        rows.append(f"| `{_text(name)}` | {_text(', '.join(spec.channels))} | {what} |")
    lines = [
        f"# {recipe.get('name', 'placevec')} model",
        "",
        f"{model.parameters:,} parameters, vectors of {model.dim} numbers. Hash `{model.hash[:16]}`.",
        "",
        "| view | channels | window | encoder |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        f"Trained on {_text(training.get('dataset', 'an unnamed dataset'))} "
        f"(dataset hash `{str(training.get('dataset_hash', ''))[:16]}`, {training.get('places', '?')} places).",
        *(
            [f"Layers kept out of the input: {_text(', '.join(model.dropped)) or 'none'}."]
            if model.seen
            else []
        ),
        *_told_of_head(model.head),
        *([f"Taught on that ground: {_text(', '.join(model.taught))}."] if model.taught else []),
        f"Data: {_text(training.get('attribution', 'unknown'))}.",
        "",
        *_use(model),
        "",
    ]
    return "\n".join(lines)


def _window(spec: ViewSpec) -> str:
    """What a view shows of a place."""
    if spec.kind == COORDINATES:
        return "the point"
    return f"{spec.size_px} px, " + (
        f"{spec.size_m:g} m" if spec.size_m is not None else f"whole tiles of zoom {spec.zoom}"
    )


def _called(module: nn.Module) -> str:
    """An encoder's name; of location encoders also which."""
    own = getattr(module, "encoder", None)
    return encoders.name_of(module) + (f" {own}" if isinstance(own, str) else "")


def _told_of_head(head: Head | None) -> list[str]:
    if head is None:
        return []
    shown = ", ".join(_text(name)[:40] for name in head.classes[:8])
    more = f" and {len(head.classes) - 8:,} more" if len(head.classes) > 8 else ""
    if head.kind == "number":
        return [
            f"It answers with a number: mean {head.mean:g}, standard deviation {head.deviation:g} in training."
        ]
    how = "how likely each is there, several may be" if head.kind == "presence" else "which one of them it is"
    return [f"It answers for {len(head.classes):,} classes ({how}): {shown}{more}."]


def _use(model: Model) -> list[str]:
    if all(spec.kind == COORDINATES for spec in model.specs.values()):
        judged = ["How good its answers are: `placevec evaluate MODEL`."] if model.head is not None else []
        return [
            "Use: `placevec embed MODEL POINTS.csv -o E.parquet`. Vectors of different models must not be compared.",
            *judged,
        ]
    return [
        "Use: `placevec embed MODEL DATASET -o E.parquet`. Vectors of different models must not be compared.",
        "How good they are beside their floors: `placevec evaluate E.parquet`.",
    ]
