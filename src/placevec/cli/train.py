"""``placevec train``: train a recipe on a dataset."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from placevec.cli import MAY_STAND_ALONE
from placevec.cli.output import JSON, QUIET, print_json, print_table, progress_for, say
from placevec.errors import InputError

if TYPE_CHECKING:
    from placevec.api.training_encoders import TrainedEncoder
    from placevec.models.model import Model

NAME = "train"
HELP = """Train a recipe on a dataset.

The run directory holds the model with the best validation loss, metrics.jsonl, TensorBoard events and the state
from which --resume goes on; a resumed run ends exactly like an uninterrupted one. tensorboard --logdir RUN shows
losses, distances, the share of triplets that still teach, the learning rate, the effective rank and the projector.

Examples:

  placevec train loc2vec data/malta --out runs/malta --epochs 40

  placevec train loc2vec data/malta --out runs/original --preset founding

  placevec train loc2vec data/kyiv-tiles --out runs/rgb --preset founding-rgb --validation data/lviv-tiles

  placevec train loc2vec data/malta --out runs/longer --epochs 80 --resume runs/malta/checkpoints/epoch-040

  placevec train loc2vec data/malta --out runs/honest --drop-layers landcover,natural-features,leisure,amenities

  placevec train loc2vec data/malta data/andorra data/lauf --out runs/three --most-places 2500

  placevec train sphere2vec data/sightings --out runs/sightings --encoder sphereC+ --balance 100

  placevec train sphere2vec data/stations --out runs/stations --encoder all

  placevec train sphere2vec data/chips --loss csp --out runs/chips

  placevec train sphere2vec data/stations --init runs/chips --few-shot 0.1 --out runs/tuned
"""
LOCATIONS = "Location encoders (sphere2vec)"
IMAGES = "Learning from images (sphere2vec)"


def _location(help: str, *names: str) -> Any:
    """An option of sphere2vec; None leaves the choice to the encoder or the loss."""
    return typer.Option(None, *names, help=help, rich_help_panel=LOCATIONS)


def _image(help: str) -> Any:
    """An option of sphere2vec's losses on images; None leaves the choice to the loss."""
    return typer.Option(None, help=help, rich_help_panel=IMAGES)


def command(
    recipe: str = typer.Argument(..., help="The recipe: loc2vec or sphere2vec."),
    dataset: list[Path] = typer.Argument(..., help="Dataset directory; several are learned from together."),
    out: Path = typer.Option(..., "--out", "-o", help="Run directory to make."),
    preset: str = typer.Option(
        "default",
        help="default; founding (or founding-12) and founding-rgb: the original networks and hyper-parameters;"
        " taught: foretell what places hold. Of sphere2vec: default, or what was found best on birdsnap, nabirds,"
        " inat2017, inat2018, yfcc or fmow; csp-paper-inat2018 and its kin, of images.",
    ),
    config: Path | None = typer.Option(None, help="TOML file holding any option, by the names shown here."),
    validation: list[Path] | None = typer.Option(
        None, help="Dataset to validate on, instead of blocks held out; may be repeated."
    ),
    epochs: int | None = typer.Option(
        None,
        help="Passes, each validated and checkpointed (20). A finished run resumed with more goes on under the"
        " schedule of the longer run: cosine is stretched, so the learning rate rises again; plateau and constant"
        " go on as they were.",
    ),
    steps_per_epoch: int | None = typer.Option(
        None, help="Batches in a pass (default: once over the places)."
    ),
    samples_per_epoch: int | None = typer.Option(None, help="Or places in a pass."),
    batch_size: int | None = typer.Option(
        None, help="Places in a batch (64, sphere2vec 1,024); halved by itself where memory runs out."
    ),
    learning_rate: float | None = typer.Option(None, help="Peak learning rate (0.001)."),
    weight_decay: float | None = typer.Option(None, help="Decay of the weights (0.0001)."),
    optimizer: str | None = typer.Option(None, help="adamw or adam."),
    clip_norm: float | None = typer.Option(None, help="Longest gradient (1); 0: any."),
    dim: int | None = typer.Option(None, help="Length of the vectors (128, sphere2vec 256)."),
    encoder: str | None = typer.Option(
        None,
        help="shape-tile-cnn, compact-tile-cnn, founding-tile-cnn or founding-rgb-cnn. Of sphere2vec: sphereC+ or any"
        " other location encoder, by any of its names; all trains each into a folder of --out.",
    ),
    dropout: float | None = typer.Option(
        None, help="Share of units dropped (founding-tile-cnn 0.5, location encoders 0.1)."
    ),
    objective: str | None = typer.Option(
        None,
        help="infonce, triplet, triplet-swap or softpn. What the founding 12-layer system called softpn is a hinge"
        " with the swap: triplet-swap.",
    ),
    margin: float | None = typer.Option(None, help="Of triplet and triplet-swap (0.2)."),
    temperature: float | None = typer.Option(None, help="Of infonce, and of csp: places and images (0.1)."),
    negatives: str | None = typer.Option(
        None,
        help="Of triplet, triplet-swap and softpn: random; hard or semi-hard ones of the batch, beyond far.",
    ),
    size_px: int | None = typer.Option(None, help="Side of the window read around a place, in pixels (128)."),
    size_m: float | None = typer.Option(None, help="The same in meters (200); 0 reads native pixels."),
    near_m: float | None = typer.Option(None, help="Positives lie within so many meters (100)."),
    far_m: float | None = typer.Option(None, help="Negatives lie beyond so many meters (300)."),
    near_tiles: float | None = typer.Option(
        None, help="Or in map tiles, as the founding 12-layer system (2)."
    ),
    far_tiles: float | None = typer.Option(None, help="The same of negatives (10)."),
    near_degrees: float | None = typer.Option(
        None, help="Or in degrees, as the founding RGB system (0.001)."
    ),
    far_degrees: float | None = typer.Option(None, help="The same of negatives (0.01)."),
    rotate: bool | None = typer.Option(None, help="Turn the map before each window is read (on)."),
    shift_m: float | None = typer.Option(None, help="Move every window by up to so many meters (0)."),
    flip: bool | None = typer.Option(None, help="Mirror windows at random (off)."),
    drop_channels: float | None = typer.Option(
        None, help="Chance that a layer of the positive is switched off (0.25)."
    ),
    drop_layers: str | None = typer.Option(
        None, help="Layers to keep out of the input, separated by commas."
    ),
    predict: str | None = typer.Option(
        None, help="What vectors must foretell too, separated by commas: layers (not seen), landuse, tags."
    ),
    contrast_weight: float | None = typer.Option(
        None, help="Weight of the objective beside predictions (1)."
    ),
    most_places: int | None = typer.Option(None, help="At most so many places of each dataset."),
    loss: str | None = _location(
        "presence (of classes, with background points), an_full, an_slds, an_ssdl, cross-entropy (of classes that"
        " exclude one another) or regression (of numbers); auto: presence or regression, by the labels. Of images,"
        " without labels: csp, csp-nce or csp-mse."
    ),
    background: str | None = _location(
        "Where nothing is known to be: sphere (even), land, target-group (other places), or octant as founded."
    ),
    background_weight: float | None = _location("Of what is learned there (1)."),
    land: Path | None = _location("GeoJSON of the land, for --background land (coarse outlines)."),
    positive_weight: float | None = _location("Of the class seen (the number of classes; an_full 2,048)."),
    balance: int | None = _location("At most so many places of a class in a pass (all).", "--balance"),
    users: bool | None = _location("Learn a vector of every user too, with presence (off)."),
    label_smoothing: float | None = _location("Of cross-entropy (0)."),
    few_shot: float | None = _location("Share of the training labels to use, of every class (1)."),
    validation_share: float | None = _location(
        "Share held out in blocks, without a split of the dataset (0.1)."
    ),
    block_m: float | None = _location("Side of those blocks in meters (by the extent, at most 500 km)."),
    variant: str | None = _location(
        "corrected; original: formula, network and defaults as published in code."
    ),
    network: str | None = _location("After the features: ffn, resnet, siren, residual, linear or none."),
    hidden: int | None = _location("Units of a hidden layer (512)."),
    hidden_layers: int | None = _location("Hidden layers or blocks (1).", "--layers"),
    activation: str | None = _location("relu, leakyrelu, gelu, sigmoid or tanh."),
    seasons: int | None = _location("Harmonics of the share of the year, where places have dates (0)."),
    scales: int | None = _location("Scales of the multi-scale encoders (32)."),
    r_min: float | None = _location("The finest, as a share of the Earth's radius (0.001: 40 km a wave)."),
    r_max: float | None = _location("The coarsest (1); of the original grid and theory both are degrees."),
    taper_poles: bool | None = _location("Fade out what would tear at the poles (off)."),
    sigma: float | None = _location("Width of rbf in degrees; of rff."),
    anchors: int | None = _location("Training places that rbf measures nearness to (200)."),
    frequencies: int | None = _location("Of rff."),
    kernel_size: float | None = _location("Of the original rff: the variance of its draws."),
    degrees: int | None = _location("Of harmonics (20)."),
    cells: int | None = _location("How many, of cells (2,048)."),
    cell_width: int | None = _location("Numbers of a cell's vector (64)."),
    init: str | None = _location(
        "Run or model whose location encoder to start from, such as one trained on images."
    ),
    symmetric: bool | None = _image("Each image against all places of the batch too (on)."),
    negative_points: int | None = _image("Random places that each image is told from (1)."),
    background_temperature: float | None = _image("Of images and random places (0.1)."),
    twin_temperature: float | None = _image("Of places and themselves with other units dropped (0.1)."),
    twin_weight: float | None = _image("Of the latter (1); 0 leaves it out."),
    schedule: str | None = typer.Option(None, help="cosine, constant, plateau or decay (0.98 a pass)."),
    patience: int | None = typer.Option(
        None, help="Stop after so many passes without improvement (0: never)."
    ),
    save_every: int | None = typer.Option(
        None,
        help="Keep a checkpoint every so many passes, checkpoints/epoch-010: a model and its state (0: none).",
    ),
    workers: int | None = typer.Option(
        None, help="Threads that read batches ahead (1); the result is the same."
    ),
    precision: str | None = typer.Option(None, help="auto, fp32 or bf16."),
    device: str | None = typer.Option(None, help="auto, cpu, cuda or mps."),
    seed: int | None = typer.Option(None, help="Seed of everything random (0)."),
    projector: int = typer.Option(500, help="Places in TensorBoard's projector; 0: none."),
    resume: str | None = typer.Option(
        None,
        "--resume",
        metavar="[CHECKPOINT]",
        help="Go on: alone, from the newest state in --out; or from a checkpoint, such as"
        " RUN/checkpoints/epoch-010, whose run goes on in --out.",
    ),
    force: bool = typer.Option(False, "--force", help="Start afresh, removing the run in --out."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.train` and say where the model is."""
    from placevec import api

    for path in dataset:
        if path.is_file():
            raise InputError(
                f"{path} is a file, not a dataset: prepare it first, with {_preparing(recipe, path)}"
            )
    options: dict[str, Any] = _from_toml(config) if config else {}
    given = {
        "epochs": epochs, "steps_per_epoch": steps_per_epoch, "samples_per_epoch": samples_per_epoch,
        "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay,
        "optimizer": optimizer, "clip_norm": clip_norm, "dim": dim, "encoder": encoder, "dropout": dropout,
        "objective": objective, "margin": margin, "temperature": temperature, "negatives": negatives,
        "size_px": size_px, "near_m": near_m, "far_m": far_m, "near_tiles": near_tiles, "far_tiles": far_tiles,
        "near_degrees": near_degrees, "far_degrees": far_degrees, "rotate": rotate, "shift_m": shift_m,
        "flip": flip, "drop_channels": drop_channels, "schedule": schedule, "patience": patience,
        "contrast_weight": contrast_weight, "most_places": most_places, "save_every": save_every,
        "workers": workers, "precision": precision, "device": device, "seed": seed,
        "loss": loss, "background": background, "background_weight": background_weight,
        "land": None if land is None else str(land), "positive_weight": positive_weight, "balance": balance,
        "users": users, "label_smoothing": label_smoothing, "few_shot": few_shot,
        "validation_share": validation_share, "block_m": block_m, "variant": variant, "network": network,
        "hidden": hidden, "layers": hidden_layers, "activation": activation, "seasons": seasons, "scales": scales,
        "r_min": r_min, "r_max": r_max, "taper_poles": taper_poles, "sigma": sigma, "anchors": anchors,
        "frequencies": frequencies, "kernel_size": kernel_size, "degrees": degrees, "cells": cells,
        "cell_width": cell_width, "init": init, "symmetric": symmetric, "negative_points": negative_points,
        "background_temperature": background_temperature, "twin_temperature": twin_temperature,
        "twin_weight": twin_weight,
    }  # fmt: skip
    options.update({name: value for name, value in given.items() if value is not None})
    if size_m is not None:
        options["size_m"] = size_m or None
    for name, value in (("drop_layers", drop_layers), ("predict", predict)):
        if value is not None:
            options[name] = tuple(part.strip() for part in value.split(",") if part.strip())
    told: dict[str, Any] = {
        "out": out, "preset": options.pop("preset", preset), "validation": validation or None,
        "resume": resume is not None if resume in (None, MAY_STAND_ALONE["--resume"]) else resume,
        "force": force, "projector": projector, "progress": progress_for(as_json, quiet),
    }  # fmt: skip
    if options.get("encoder") == "all":
        del options["encoder"]
        from placevec.api.training_encoders import train_encoders

        _show_all(train_encoders(recipe, dataset, **told, **options), as_json)
        return
    model = api.train(recipe, dataset, **told, **options)
    if as_json:
        from placevec.training.log import read_metrics

        print_json({"run": str(out), "hash": model.hash, **model.config(), "metrics": read_metrics(out)[-1:]})
        return
    say(f"{model.parameters:,} parameters, vectors of {model.dim} numbers: {out}")
    _say_kept(out, model)
    if model.head is not None:
        say(f"Next: placevec evaluate {out}    placevec embed {out} POINTS.csv -o E.parquet")
        return
    if len(dataset) == 1 and not model.taught:
        say(f"Next: placevec embed {out} {dataset[0]} -o E.parquet")
        return
    say(
        f"It has learned {' and '.join(map(str, dataset))}: what it is worth shows on ground that it has not seen."
    )
    say(
        f"Next: placevec prepare {recipe} --osm OTHER.osm.pbf --out OTHER    placevec embed {out} OTHER -o E.parquet"
    )


def _preparing(recipe: str, path: Path) -> str:
    """The command that makes a dataset of a file."""
    what = f"{path} --label COLUMN" if recipe == "sphere2vec" else f"--osm {path}"
    return f"placevec prepare {recipe} {what} --out DATASET"


def _say_kept(run: Path, model: Model) -> None:
    """Which pass the weights are of, and what helps where the ones after it learned by heart."""
    from placevec.training.best_epoch import read_best_epoch

    kept = read_best_epoch(run)
    if kept is None:
        return
    say(f"Kept: {kept}")
    if not kept.overfitted:
        return
    remedies = ["fewer --epochs"]
    if model.head is not None:
        from placevec.encoders.locations.names import feature_options

        about = model.recipe["config"]
        remedies.append("more --dropout")
        if "r_min" in feature_options(about["encoder"], about["variant"]):
            remedies.append("a larger --r-min or fewer --scales")
    say(
        f"Note: after that pass it learned its places by heart (overfitting); what helps: {', '.join(remedies)}"
    )


def _show_all(trained: Sequence[TrainedEncoder], as_json: bool) -> None:
    """One line an encoder, with what its best weights achieve on the validation."""
    if as_json:
        print_json([one.as_dict() for one in trained])
        return
    measured = list(dict.fromkeys(name for one in trained for name in one.validation))
    print_table(
        ["encoder", "parameters", *measured, "epochs", "seconds", "run"],
        [
            [
                one.encoder, one.parameters, *(one.validation.get(name, math.nan) for name in measured), one.epochs,
                one.seconds, str(one.run),
            ]
            for one in trained
        ],
    )  # fmt: skip
    say(
        "The validation chose the weights, so it flatters a little: placevec evaluate RUN judges on the test side"
    )


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the options in {path}: {error}") from error
    return {name.replace("-", "_"): value for name, value in content.items()}
