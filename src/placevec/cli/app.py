"""The verbs, gathered. Each is imported with its own light file; heavy rooms load when a verb runs."""

from __future__ import annotations

import typer


def build_app() -> typer.Typer:
    """The typer application with every verb."""
    from placevec.cli import (
        benchmark,
        cluster,
        doctor,
        embed,
        evaluate,
        explore,
        export,
        import_weights,
        info,
        picture,
        predict,
        prepare,
        search,
        train,
        validate,
    )
    from placevec.cli.demo import command as demo

    verbs = (
        demo, prepare, validate, train, embed, evaluate, search, explore, cluster, export, predict, picture,
        import_weights, benchmark, info, doctor,
    )  # fmt: skip
    app = typer.Typer(
        name="placevec",
        help="Turn any place on Earth into a vector: map, imagery, words or bare coordinates.\n\n"
        "Start with `placevec demo`, or go step by step: prepare, train, embed, evaluate, search, explore.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_version)
    for verb in verbs:
        app.command(name=verb.NAME, help=verb.HELP, no_args_is_help=verb.NAME not in ("demo", "doctor"))(
            verb.command
        )
    return app


def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from placevec._version import __version__

        typer.echo(f"placevec {__version__}")
        raise typer.Exit
