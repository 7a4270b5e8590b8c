"""The pages that are made of the options: ``python -m placevec.cli.reference docs`` writes them.

``reference/options.md`` names every command and option; the tables of ``coming-from/RECIPE.md`` say what founding systems
called them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App

from placevec.cli.app import VERBS, build_app
from placevec.cli.signature import Taken
from placevec.io import atomic
from placevec.options import default_of, described
from placevec.recipes import DEMO, RECIPES, recipe
from placevec.recipes.base import FormerCommand, RecipeEntry

PAGE = Path("reference") / "options.md"
_HEAD = f"""\
# Options

*Made by `python -m placevec.cli.reference docs` from the declarations in the code; a test holds it to them.*

Each option is declared once, with type, default, limits and help. The flag of the command line and the keyword in
Python come from there: `--near-m 50` is `pv.train("{DEMO}", data, out="run", near_m=50)`, `-k 9` is `pv.similar(e, k=9)`.
Options of `prepare` and `train` are keys of the file that `--config FILE.toml` names, too (`near_m = 50`): the command
line goes before the file, the file before the preset, the preset before the default; `_` and `-` are one. Where no
keyword stands, Python takes the value as an argument, or not at all.
"""


def options_page() -> str:
    """The reference page, in Markdown."""
    app = build_app()
    parts = [_HEAD]
    for verb in VERBS:
        if app[verb].default_command is not None:
            parts += [f"## placevec {verb}\n", f"{VERBS[verb][1]}\n", *_tables(app[verb])]
            continue
        for name in app[verb]:
            if name.startswith("-"):
                continue
            parts += [f"## placevec {verb} {name}\n", *_tables(app[verb][name])]
            if verb == "train":
                parts.append(_presets(recipe(name)))
    return "\n".join(parts)


def former_table(command: FormerCommand) -> str:
    """What a command of a founding system took, and what takes its place."""
    named, colon, part = command.command.partition(": ")
    head = ", ".join(map(_spelled, named.split(", "))) + colon + part
    lines = [f"| {head} | {command.here} | |", "| --- | --- | --- |"]
    for line in command.flags:
        old = ", ".join(_spelled(flag) for flag in line.flags)
        lines.append("| " + " | ".join(cell for cell in (old, line.here, line.note)) + " |")
    return "\n".join(re.sub(r" +\|", " |", line) for line in lines)


def with_tables(page: str, entry: RecipeEntry) -> str:
    """A page for those who come from a founding system, its tables as the code has them.

    Each stands between ``<!-- table: COMMAND -->`` and ``<!-- end -->``.
    """
    for command in entry.former_commands():
        mark = f"<!-- table: {command.command} -->"
        pattern = re.compile(f"{re.escape(mark)}\n.*?<!-- end -->", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"the page of {entry.name} has no place for {mark}")
        table = f"{mark}\n\n{former_table(command)}\n\n<!-- end -->"
        page = pattern.sub(lambda _, table=table: table, page)  # type: ignore[misc]
    return page


def main(folder: Path) -> None:
    """Write the pages into the folder of the documentation."""
    (folder / PAGE).parent.mkdir(exist_ok=True)
    atomic.write_text(folder / PAGE, options_page())
    for name in RECIPES.builtin:
        page = folder / "coming-from" / f"{name}.md"
        atomic.write_text(page, with_tables(page.read_text("utf-8"), recipe(name)))


def _tables(command: App) -> Iterator[str]:
    """A table for each group of options."""
    taken: Taken = command.default_command.taken  # type: ignore[union-attr]
    groups: dict[str, list[str]] = {}
    for argument in command.assemble_argument_collection():
        flags = ", ".join(f"`{name}`" for name in argument.names)
        name = argument.field_info.name
        keyword = f"`{name}`" if name in taken.declared else ""
        kind = taken.options[name].takes if name in taken.options else ""
        about = described(argument.parameter.help or "", None, argument.get_choices() or ())
        named: Any = argument.parameter.group
        title = next((str(group.name) for group in named), "Options")
        groups.setdefault(title, []).append(
            f"| {flags} | {keyword} | {about} | {kind} |".replace("  |", " |")
        )
    for title, rows in groups.items():
        yield "\n".join([f"| {title} | keyword | | |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _presets(entry: RecipeEntry) -> str:
    rows = ["| preset | is | options |", "| --- | --- | --- |"]
    for name, preset in entry.presets.items():
        options = preset.options({}) if callable(preset.options) else preset.options
        said = ", ".join(f"`{key}` {default_of(value) or 'none'}" for key, value in options.items())
        rows.append(f"| `{name}` | {preset.summary} | {said} |")
    return "\n".join(rows) + "\n"


def _spelled(text: str) -> str:
    return f"`{text}`" if text.startswith("--") or re.fullmatch(r"[\w.-]+", text) else text


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
