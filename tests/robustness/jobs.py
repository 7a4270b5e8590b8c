"""The commands that resume, on the embedded extract: what `make test` and `make soak` kill."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from tests.robustness import content
from tests.robustness.killing import Job
from tests.sources.tiles.tile_files import png, write_layers

PLACES = ("--osm-name", "helsinki-center", "--size-m", "120", "-q")
"""The embedded extract; every place is 120 m wide."""
SHORT = (
    "--epochs", 1, "--steps-per-epoch", 1, "--size-px", 32, "--size-m", 60, "--near-m", 20, "--far-m", 100,
)  # fmt: skip
"""Options of the shortest training there is, for places of 60 m."""


def write_options(path: Path, *, epochs: int = 4, width: int = 8) -> Path:
    """Training options that take a second: a narrow encoder on small windows."""
    path.write_text(
        f"width = {width}\nbatch_size = 16\nepochs = {epochs}\nsteps_per_epoch = 3\nsize_px = 32\nsize_m = 120\n"
        "near_m = 40\nfar_m = 160\nvalidation_steps = 1\n"
    )
    return path


def prepare(*, zoom: int = 17, spacing: int = 60, workers: int = 1, source: tuple[str, ...] = PLACES) -> Job:
    """At zoom 20 the extract lies in four shards, at 17 in one."""

    def arguments(out: Path) -> list[object]:
        where = ["--zoom", zoom, "--spacing", spacing, "--workers", workers]
        return ["prepare", "loc2vec", *source, *where, "--out", out]

    return Job(f"prepare, zoom {zoom}, {workers} at work", arguments, content.of_dataset)


def prepare_again(old: Path) -> Job:
    """``--force`` over a dataset of another grid: it stays until its successor is whole."""

    def arguments(out: Path) -> list[object]:
        return ["prepare", "loc2vec", *PLACES, "--spacing", "60", "--force", "--out", out]

    def before(out: Path) -> None:
        shutil.copytree(old, out)

    return Job("prepare --force", arguments, content.of_dataset, always_opens=True, before=before)


def write_tiles(folder: Path) -> Path:
    """Tiles of two layers on the corner of four shards."""
    random = np.random.default_rng(0)
    x, y = 1165 * 64, 592 * 64
    tiles = {
        layer: {
            (x + east, y + south): png((random.random((256, 256)) < 0.2).astype(np.uint8) * 255)
            for east in range(-3, 3)
            for south in range(-3, 3)
        }
        for layer in ("roads", "buildings")
    }
    write_layers(folder, tiles, 17)
    return folder


def import_tiles(folder: Path) -> Job:
    def arguments(out: Path) -> list[object]:
        return ["prepare", "loc2vec", "--tile-folder", folder, "-q", "--out", out]

    return Job("prepare --tile-folder", arguments, content.of_dataset)


def write_points(path: Path, count: int = 20_000) -> Path:
    """A table of points with ids, some of them twice."""
    draw = np.random.default_rng(0)
    rows = [f"{lon:.5f},{lat:.5f},class {kind},user {user}" for lon, lat, kind, user in zip(
        draw.uniform(-180, 180, count), draw.uniform(-90, 90, count), draw.integers(0, 50, count),
        draw.integers(0, 99, count), strict=True,
    )]  # fmt: skip
    path.write_text("lon,lat,species,observer\n" + "\n".join([*rows, *rows[:100]]) + "\n")
    return path


def prepare_points(table: Path) -> Job:
    """A killed one starts afresh, and nothing of it stays."""

    def arguments(out: Path) -> list[object]:
        return [
            "prepare",
            "sphere2vec",
            table,
            "--label",
            "species",
            "--user",
            "observer",
            "-q",
            "--out",
            out,
        ]

    return Job("prepare sphere2vec", arguments, content.of_dataset)


def _with_places(folder: Path, out: Path) -> Path:
    """A table of labels for the places of a dataset, by their ids."""
    table = pd.read_parquet(out / "places.parquet", columns=["place_id"])
    random = np.random.default_rng(0)
    table["species"] = random.choice(["oak", "elm", "fir"], len(table))
    table["observer"] = random.choice(["ann", "bo", "cy"], len(table))
    table.to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def add_labels(old: Path, folder: Path) -> Job:
    """Labels for the places of a grid: its map is there at every moment, and its places never change."""
    table = _with_places(folder, old)

    def arguments(out: Path) -> list[object]:
        return [
            "prepare",
            "sphere2vec",
            table,
            "--label",
            "species",
            "--user",
            "observer",
            "-q",
            "--out",
            out,
        ]

    def before(out: Path) -> None:
        shutil.copytree(old, out)

    return Job("prepare adds labels", arguments, content.of_dataset, always_opens=True, before=before)


def add_map(old: Path) -> Job:
    """A map around the places of a table: its labels are there at every moment. At zoom 20 it lies in four shards."""

    def arguments(out: Path) -> list[object]:
        return ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--zoom", 20, "-q", "--out", out]

    def before(out: Path) -> None:
        shutil.copytree(old, out)

    return Job("prepare adds a map", arguments, content.of_dataset, always_opens=True, before=before)


def write_observations(path: Path, count: int = 300) -> Path:
    """A table of points inside of the embedded extract."""
    draw = np.random.default_rng(1)
    columns = {
        "lon": draw.uniform(24.938, 24.951, count),
        "lat": draw.uniform(60.166, 60.177, count),
        "species": draw.choice(["oak", "elm"], count),
    }
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def export_tiles(dataset: Path, how: str) -> Job:
    """``how``: ``--tile-folder`` or ``--mbtiles``."""

    def arguments(out: Path) -> list[object]:
        return ["export", dataset, how, out, "-q"]

    return Job(f"export {how}", arguments, content.of_files)


def train(dataset: Path, options: Path) -> Job:
    def arguments(out: Path) -> list[object]:
        return ["train", "loc2vec", dataset, "--config", options, "--resume", "-q", "--out", out]

    return Job("train", arguments, content.of_run)


def embed(run: Path, dataset: Path) -> Job:
    def arguments(out: Path) -> list[object]:
        return ["embed", run, dataset, "-q", "--out", out]

    return Job("embed", arguments, content.of_table, output="vectors.parquet")
