"""``placevec demo``: the main job on the embedded extract, step by step, as a user would do it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from placevec.cli.output import JSON, QUIET, clean, console, print_json, print_table, progress_for, say
from placevec.cli.search import plain_rows
from placevec.documents import check, read_json

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings
    from placevec.model import Model

NAME = "demo"
HELP = """Run everything on the extract of central Helsinki that comes with placevec, offline.

Prepares, trains, embeds, evaluates, searches and writes a page to explore. What is already there is reused, and a
killed demo goes on where it was; --force starts afresh. Each step prints the command that does it alone.
"""

# 1.0 x 1.7 km: a fine grid of places, windows of 120 m. Layers whose tags the evaluation asks about are kept out.
SPACING, SIZE_M, SIZE_PX, NEAR_M, FAR_M = 40.0, 120.0, 64, 40.0, 160.0
DROPPED = ("landcover", "natural-features", "leisure", "amenities")
QUERY = "Rautatientori"


def command(
    out: Path = typer.Option(Path("demo"), "--out", "-o", help="Directory for everything that is made."),
    epochs: int = typer.Option(12, min=1, help="Passes of training."),
    query: str = typer.Option(QUERY, help="Name of the place to search for."),
    seed: int = typer.Option(0, help="Seed of everything random."),
    force: bool = typer.Option(False, "--force", help="Start afresh."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call the public functions one after the other and show what each made."""
    from placevec import api

    started = time.monotonic()
    progress = progress_for(as_json, quiet)
    dataset_path, run, table_path = out / "helsinki", out / "run", out / "helsinki.parquet"

    def step(number: int, title: str, arguments: str) -> None:
        progress.say(f"\n[{number}/6] {title}\n      placevec {arguments}")

    place, folder = f"--spacing {SPACING:g} --size-m {SIZE_M:g}", shlex.quote(str(dataset_path))
    step(
        1,
        "Prepare: draw the map's twelve layers",
        f"prepare loc2vec --osm-name helsinki-centre {place} --out {folder}",
    )
    dataset = api.prepare(
        "loc2vec",
        out=dataset_path,
        osm_name="helsinki-centre",
        spacing=SPACING,
        size_m=SIZE_M,
        force=force,
        progress=progress,
    )
    options: dict[str, Any] = {
        "epochs": epochs, "size_m": SIZE_M, "size_px": SIZE_PX, "near_m": NEAR_M, "far_m": FAR_M,
        "drop_layers": DROPPED, "seed": seed,
    }  # fmt: skip
    shown = f"--size-m {SIZE_M:g} --size-px {SIZE_PX} --near-m {NEAR_M:g} --far-m {FAR_M:g}"
    shown += f" --drop-layers {','.join(DROPPED)}"
    step(
        2,
        "Train: near places closer than far ones",
        f"train loc2vec {folder} --out {run} --epochs {epochs} {shown}",
    )
    model = api.train(
        "loc2vec", dataset, out=run, resume=not force, force=force, progress=progress, **options
    )
    step(3, "Embed: every place becomes a vector", f"embed {run} {folder} -o {table_path}")
    table = _embedded(table_path, model, dataset.hash) or api.embed(
        model, dataset, out=table_path, progress=progress
    )
    progress.say(f"      {len(table.place_id):,} vectors of {table.vectors.shape[1]} numbers")
    step(4, "Evaluate: beside what needs no learning", f"evaluate {table_path} --budget quick --beside base")
    report = _evaluated(out / "report", model, dataset.hash)
    if report is None:
        fresh = api.evaluate(
            table,
            dataset=dataset,
            model=model,
            budget="quick",
            others={"model base": "base"},
            progress=progress,
        )
        fresh.save(out / "report")
        report = fresh.as_dict()
        if not as_json:
            console().print(fresh.to_table())
    else:
        progress.say("      Reusing the report of these vectors")
        if not as_json:
            from rich.markdown import Markdown

            console().print(Markdown((out / "report" / "report.md").read_text("utf-8")))
    step(5, f"Search: the places most like {query}", f"search {table_path} --name {shlex.quote(query)} -k 5")
    found = api.similar(table, name=query, k=5, min_distance_m=SIZE_M, dataset=dataset, model=model)
    columns = ["rank", "place_id", "name", "lon", "lat", "distance"]
    rows = plain_rows(found[columns])
    if not as_json:
        print_table(columns, rows)
    page = out / "helsinki.html"
    step(6, "Explore: vectors and map, linked, on one page", f"explore {table_path} --html {page}")
    api.explore(table, page, dataset=dataset, title="Central Helsinki", progress=progress)
    seconds = time.monotonic() - started
    if as_json:
        results = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"page": str(page.resolve()), "seconds": seconds, "similar": results, "report": report})
        return
    say(f"\nData: {clean(dataset.attribution, width=500)}")
    say(f"Done in {seconds:.0f} s. Open this page in a browser:\n{page.resolve()}")


def _evaluated(folder: Path, model: Model, dataset_hash: str) -> dict[str, Any] | None:
    """The report already there, if it is of this model and dataset."""
    try:
        report: dict[str, Any] = read_json(folder / "report.json")
        check(report, {"model_hash": str, "dataset_hash": str})
    except (OSError, ValueError):
        return None
    same = report.get("model_hash") == model.hash and report.get("dataset_hash") == dataset_hash
    return report if same and (folder / "report.md").exists() else None


def _embedded(path: Path, model: Model, dataset_hash: str) -> Embeddings | None:
    """The table already there, if this model made it from this dataset."""
    from placevec import api

    if not path.exists():
        return None
    table = api.load_embeddings(path)
    same = table.provenance.model_hash == model.hash and table.provenance.dataset_hash == dataset_hash
    return table if same else None
