"""The verbs, gathered: each is imported with its own light file when it is asked for, heavy rooms when it runs."""

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
        "Run everything on the extract of central Helsinki that comes with placevec, offline; or on your own data.",
    ),
    "prepare": ("placevec.cli.prepare", "Make the dataset that a recipe learns from."),
    "validate": (
        "placevec.cli.validate",
        "Look through a folder of tiles, MBTiles or a dataset, and say whether it can be used.",
    ),
    "train": ("placevec.cli.train", "Train a recipe on a dataset."),
    "embed": (
        "placevec.cli.embed",
        "Turn a dataset's places into vectors: one GeoParquet table that opens everywhere.",
    ),
    "evaluate": (
        "placevec.cli.evaluate",
        "Evaluate vectors beside baselines: chance, coordinates, raw features, an untrained encoder.",
    ),
    "search": ("placevec.cli.search", "Find the places most like a given one."),
    "explore": (
        "placevec.cli.explore",
        "Write what shows the vectors: a page, a map with a GeoJSON, still plots. At least one of them.",
    ),
    "cluster": (
        "placevec.cli.cluster",
        "Group places by their vectors, and name the place in the middle of each group.",
    ),
    "export": (
        "placevec.cli.export",
        "Write the map of a dataset as ready tiles: folders as the founding pipelines read them, or MBTiles.",
    ),
    "predict": (
        "placevec.cli.predict",
        "Write where models expect a class, or what number: as a raster, a figure, a page or a table.",
    ),
    "picture": (
        "placevec.cli.picture",
        "Draw location encoders and their trainings, several side by side, as a PNG.",
    ),
    "import-weights": (
        "placevec.cli.import_weights",
        "Bring in weights of another system (.pt, .pth, .pth.tar) as a model directory with safetensors.",
    ),
    "benchmark": (
        "placevec.cli.benchmark",
        "Compare the location encoders with one another, and with what needs no encoder.",
    ),
    "info": (
        "placevec.cli.info",
        "Say what a dataset, a run or model, a table of vectors, or an OSM extract is, after checking it.",
    ),
    "doctor": (
        "placevec.cli.doctor",
        "Say what this machine offers placevec: versions, processor, memory, devices, extras, shared data.",
    ),
}
"""Verb -> (its module, what it does in a line). The module has ``HELP``, which goes on, and a ``command``; or, with
several, as one a recipe, ``commands(words)`` and ``COMMANDS``, their heading."""
HELP = """Turn any place on Earth into a vector: map, imagery, words or bare coordinates.

Start with `placevec demo`, or go step by step: prepare, train, embed, evaluate, search, explore.
`placevec VERB --help` explains each; `placevec --version` prints the version."""


def build_app(words: Sequence[str] | None = None) -> App:
    """The application: whole, or only what the first words of a command line need.

    Args:
        words: of the command line; the verb that they begin with, and its recipe, or all verbs with their summaries.
            None: all verbs and recipes with their options.
    """
    app = _app("placevec", HELP, title="Verbs", version=f"placevec {__version__}")
    for place, (name, (module, summary)) in enumerate(VERBS.items()):
        if words is None or words[:1] == [name]:
            _add(app, name, importlib.import_module(module), summary, place, list(words or ())[1:])
        elif not words or words[0] not in VERBS:
            app.command(_listed, name=name, help=summary, sort_key=place)
    return app


def _listed() -> None:
    """Stands for a verb where all are listed and none is run."""


def _add(app: App, name: str, module: ModuleType, summary: str, place: int, words: list[str]) -> None:
    """A verb with its options, or with a command for each recipe."""
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
