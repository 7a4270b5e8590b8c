"""The commands: each is imported with its own light module when it is requested, heavy rooms when it runs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from cyclopts import App, Group, Parameter

from placevec._version import __version__
from placevec.cli.help import Columns

VERBS = {
    "demo": (
        "placevec.cli.demo.command",
        "Run all steps on the included extract of central Helsinki, offline, or on your own data.",
    ),
    "prepare": ("placevec.cli.prepare", "Create the dataset for a recipe."),
    "validate": (
        "placevec.cli.validate",
        "Check whether tiles or a dataset are usable, and verify the files of a dataset, run, model or table.",
    ),
    "train": ("placevec.cli.train", "Train a recipe on a dataset."),
    "embed": (
        "placevec.cli.embed",
        "Turn a dataset's places into vectors: one GeoParquet table.",
    ),
    "evaluate": (
        "placevec.cli.evaluate",
        "Compare vectors with baselines: chance, coordinates, raw features, an untrained encoder.",
    ),
    "search": ("placevec.cli.search", "Find the places most similar to a given one."),
    "index": ("placevec.cli.index", "Build an index of vectors, for search among millions of places."),
    "precompute": (
        "placevec.cli.precompute",
        "Compute projections and indexes once, for explore and search.",
    ),
    "explore": (
        "placevec.cli.explore",
        "Write a page, a map with GeoJSON, or static plots of vectors.",
    ),
    "serve": (
        "placevec.cli.serve",
        "Serve a model and its vectors over HTTP: embedding, search, tiles and the explorer.",
    ),
    "cluster": (
        "placevec.cli.cluster",
        "Group places by their vectors, and show a representative place for each group.",
    ),
    "export": (
        "placevec.cli.export",
        "Write a dataset's map as tiles, its texts as CSV, its entities into PostGIS, or vectors into pgvector.",
    ),
    "predict": (
        "placevec.cli.predict",
        "Map where a class is likely, or the expected value: as a raster, a figure, a page or a table.",
    ),
    "picture": (
        "placevec.cli.picture",
        "Plot location encoders and their training side by side, as a PNG.",
    ),
    "import-weights": (
        "placevec.cli.import_weights",
        "Convert weights of another system (.pt, .pth, .pth.tar) to a model directory with safetensors.",
    ),
    "import-vectors": (
        "placevec.cli.import_vectors",
        "Import published embeddings, such as AlphaEarth, TESSERA or Clay, as a table of vectors.",
    ),
    "benchmark": (
        "placevec.cli.benchmark",
        "Compare location encoders with one another and with baselines.",
    ),
    "info": (
        "placevec.cli.info",
        "Check and describe a dataset, a run or model, a table of vectors, or an OSM extract.",
    ),
    "doctor": (
        "placevec.cli.doctor",
        "Report what this machine supports: versions, memory, disk, devices, extras, network, shared data.",
    ),
}
"""Command -> (its module, one-line summary). The module has ``HELP``, the rest of the help, and ``command``; or, for
several commands such as one per recipe, ``commands(words)`` and ``COMMANDS``, their heading."""
HELP = """Turn any place on Earth into a vector: from maps, imagery, text or bare coordinates.

Start with `placevec demo`, or run the steps one by one: prepare, train, embed, evaluate, search, explore.
`placevec COMMAND --help` explains each step; `placevec --version` prints the version."""


def build_app(words: Sequence[str] | None = None) -> App:
    """The application: complete, or only the part for the first words of a command line.

    Args:
        words: words of the command line; builds the command and recipe at their start, or all commands with their
            summaries. None: all commands and recipes with their options.
    """
    app = _app("placevec", HELP, title="Commands", version=f"placevec {__version__}")
    for place, (name, (module, summary)) in enumerate(VERBS.items()):
        if words is None or words[:1] == [name]:
            _add(app, name, importlib.import_module(module), summary, place, list(words or ())[1:])
        elif not words or words[0] not in VERBS:
            app.command(_listed, name=name, help=summary, sort_key=place)
    return app


def _listed() -> None:
    """Placeholder for a command when all are listed and none is run."""


def _add(app: App, name: str, module: ModuleType, summary: str, place: int, words: list[str]) -> None:
    """Add a command with its options, or with a subcommand for each recipe."""
    help = f"{summary}\n\n{module.HELP}"
    if hasattr(module, "command"):
        app.command(module.command, name=name, help=help, sort_key=place)
        return
    verb = _app(name, help, title=module.COMMANDS)
    verb.sort_key = place
    for number, (own, about, function) in enumerate(module.commands(words)):
        verb.command(function, name=own, help=about, sort_key=number)
    app.command(verb)


def _app(name: str, help: str, *, title: str, version: str | None = None) -> App:
    app = App(
        name=name,
        help=help,
        version=version,
        help_format="plaintext",
        help_formatter=Columns(),
        group_commands=Group(title),
        group_arguments=Group("Arguments", sort_key=-2),
        group_parameters=Group("Options", sort_key=-1),
        default_parameter=Parameter(negative_iterable=(), negative_none=()),
    )
    for flag in (*app.help_flags, *app.version_flags):
        app[flag].show = False
    return app
