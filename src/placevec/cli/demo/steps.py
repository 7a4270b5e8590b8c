"""The steps of `placevec demo`, each as a user would run it: printed with its command, and reused if it is done."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.cli.demo.plan import MAX_PER_EPOCH, Plan
from placevec.cli.output import console, plain_rows, print_facts, print_table, say, spelled
from placevec.errors import InputError
from placevec.io.json_documents import check, read_json
from placevec.io.progress import Progress
from placevec.recipes import DEMO

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.models.model import Model

COLUMNS = ["rank", "place_id", "name", "lon", "lat", "distance"]


class Steps:
    """Runs the steps and shows their results; ``found`` collects the results for scripts.

    Args:
        plan: the plan.
        count: number of steps.
        force: whether existing results are recreated.
        shown: whether results are printed.
        progress: receives progress reports.
    """

    def __init__(self, plan: Plan, count: int, *, force: bool, shown: bool, progress: Progress) -> None:
        self.plan, self.count, self.force, self.shown, self.progress = plan, count, force, shown, progress
        self.found: dict[str, Any] = {}
        self._done = 0

    def _begin(self, title: str, arguments: str) -> None:
        self._done += 1
        self.progress.say(f"\n[{self._done}/{self.count}] {title}\n      placevec {arguments}")

    # --- until there is a model -----------------------------------------------------------------------

    def check(self) -> None:
        """Describe the user's file or folder."""
        from placevec.cli.info import describe

        assert self.plan.check is not None
        path = shlex.quote(str(self.plan.check))
        if "tile_folder" in self.plan.source:
            self._begin("Check: layers, tiles and common coordinates", f"validate {path}")
            self._check_tiles(self.plan.check)
            return
        self._begin("Check: describe the data", f"info {path}")
        self.found["check"] = describe(self.plan.check)
        if self.shown:
            print_facts(self.found["check"])

    def _check_tiles(self, folder: Path) -> None:
        from placevec import api
        from placevec.cli.validate import show

        found = api.validate(folder, progress=self.progress)
        self.found["check"] = found.as_dict()
        if self.shown:
            show(found)
        if not found.usable:
            raise InputError(f"{folder} cannot be used: {found.problems[0]}")

    def prepare(self) -> Dataset:
        """The dataset, created or reused."""
        from placevec import api

        folder = shlex.quote(str(self.plan.dataset))
        ready = "tile_folder" in self.plan.source
        self._begin(
            "Prepare: store the tiles as a map" if ready else "Prepare: draw the map's twelve layers",
            f"prepare {DEMO} {spelled(self.plan.source)} --out {folder}",
        )
        return api.prepare(
            DEMO, out=self.plan.dataset, force=self.force, progress=self.progress, **self.plan.source
        )  # fmt: skip

    def prepared(self) -> Dataset:
        """The existing dataset."""
        from placevec import api

        if not (self.plan.dataset / "dataset.json").exists():
            raise InputError(
                f"there is no dataset in {self.plan.dataset} yet: run without --visualize-only first"
            )
        return api.open_dataset(self.plan.dataset)

    def load(self, dataset: Dataset) -> None:
        """Read the first training batch, and count the places of each layer."""
        from placevec.cli.demo.check import first_batch, layers_held

        self._begin(
            "Test loading: one batch, as training sees it", f"validate {shlex.quote(str(self.plan.dataset))}"
        )
        layers, batch = layers_held(dataset), first_batch(dataset, self.plan.training)
        self.found["layers"], self.found["batch"] = layers, batch
        if self.shown:
            print_table(["layer", "places with it"], [[name, count] for name, count in layers.items()])
            say("")
            for row in batch:
                shape = " x ".join(map(str, row["shape"]))
                say(f"{row['slot']}: {shape} {row['type']}, {row['drawn_on']:.1%} covered")
        empty = [name for name, count in layers.items() if count == 0]
        if empty:
            self.progress.say(f"      Note: no place has {', '.join(empty)}")

    def train(self, dataset: Dataset) -> Model:
        """The model, trained or resumed."""
        from placevec import api

        options = dict(self.plan.training)
        if len(dataset) > MAX_PER_EPOCH:
            options["steps_per_epoch"] = MAX_PER_EPOCH // 64
        folder, run = shlex.quote(str(self.plan.dataset)), shlex.quote(str(self.plan.run))
        self._begin(
            "Train: nearby places closer together than distant ones",
            f"train {DEMO} {folder} --out {run} {spelled(options)}",
        )
        return api.train(
            DEMO, dataset, out=self.plan.run, resume=not self.force, force=self.force, progress=self.progress,
            **options,
        )  # fmt: skip

    def trained(self) -> Model:
        """The existing model."""
        from placevec import api

        if not (self.plan.run / "config.json").exists():
            raise InputError(f"there is no model in {self.plan.run} yet: run without --visualize-only first")
        return api.load_model(self.plan.run)

    # --- with a model ---------------------------------------------------------------------------------

    def embed(self, model: Model, dataset: Dataset) -> Embeddings:
        """The table of vectors, created or reused."""
        from placevec import api

        run, folder, table_path = (
            shlex.quote(str(path)) for path in (self.plan.run, self.plan.dataset, self.plan.table)
        )
        self._begin("Embed: every place becomes a vector", f"embed {run} {folder} -o {table_path}")
        table = (
            _embedded(self.plan.table, model, dataset.hash)
            or api.embed(model, dataset, out=self.plan.table, progress=self.progress).of()
        )
        self.progress.say(f"      {len(table.place_id):,} vectors of {table.vectors.shape[1]} dimensions")
        return table

    def evaluate(self, table: Embeddings, model: Model, dataset: Dataset) -> None:
        """The report, created or reused."""
        from placevec import api

        beside = " --beside base" if self.plan.labeled else ""
        self._begin(
            "Evaluate: compare with baselines",
            f"evaluate {shlex.quote(str(self.plan.table))} --budget quick{beside}",
        )
        if not self.plan.labeled:
            self.progress.say("      These places have no labels: only metrics without labels are computed")
        report = evaluated(self.plan.report, model, dataset.hash)
        if report is not None:
            self.progress.say("      Reusing the report of these vectors")
            if self.shown:
                from rich.markdown import Markdown

                console().print(Markdown((self.plan.report / "report.md").read_text("utf-8")))
        else:
            fresh = api.evaluate(
                table, dataset=dataset, model=model, budget="quick", progress=self.progress,
                beside=("base",) if self.plan.labeled else (),
            )  # fmt: skip
            fresh.save(self.plan.report)
            report = fresh.as_dict()
            if self.shown:
                console().print(fresh.to_table())
        self.found["report"] = report

    def search(self, table: Embeddings, model: Model, dataset: Dataset) -> None:
        """The most similar places."""
        from placevec import api

        query = self.plan.query
        asked: dict[str, Any] = {"name": query} if query is not None else {"place": _middle(table)}
        what = query or f"the place in the middle, {asked['place']}"
        self._begin(
            f"Search: the places most similar to {what}",
            f"search {shlex.quote(str(self.plan.table))} {spelled(asked)} -k 5",
        )
        found = api.similar(
            table, k=5, min_distance_m=dataset.footprint_m, dataset=dataset, model=model, **asked
        )  # fmt: skip
        rows = plain_rows(found[COLUMNS])
        self.found["similar"] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        if self.shown:
            print_table(COLUMNS, rows)

    def explore(self, table: Embeddings, dataset: Dataset, max_places: int | None) -> None:
        """The page."""
        from placevec import api

        page = self.plan.page
        options = {} if max_places is None else {"max_places": max_places}
        self._begin(
            "Explore: vectors and map, linked, on one page",
            f"explore {shlex.quote(str(self.plan.table))} --html {shlex.quote(str(page))} {spelled(options)}".rstrip(),
        )
        api.explore(
            table, page, dataset=dataset, title=self.plan.title, max_places=max_places, progress=self.progress
        )  # fmt: skip
        self.found["page"] = str(page.resolve())


def _middle(table: Embeddings) -> str:
    """The place nearest to the median of all."""
    known = np.flatnonzero(np.isfinite(table.lonlat).all(axis=1))
    away = np.linalg.norm(table.lonlat[known] - np.median(table.lonlat[known], axis=0), axis=1)
    return str(table.place_id[known[away.argmin()]])


def evaluated(folder: Path, model: Model, dataset_hash: str) -> dict[str, Any] | None:
    """The existing report, if it belongs to this model and dataset."""
    try:
        report: dict[str, Any] = read_json(folder / "report.json")
        check(report, {"model_hash": str, "dataset_hash": str})
    except (OSError, ValueError):
        return None
    same = report.get("model_hash") == model.hash and report.get("dataset_hash") == dataset_hash
    return report if same and (folder / "report.md").exists() else None


def _embedded(path: Path, model: Model, dataset_hash: str) -> Embeddings | None:
    """The existing table, if this model made it from this dataset."""
    from placevec import api

    if not path.exists():
        return None
    table = api.load_embeddings(path).of()
    same = table.provenance.model_hash == model.hash and table.provenance.dataset_hash == dataset_hash
    return table if same else None
