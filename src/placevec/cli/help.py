"""The layout of help: names on the left, descriptions on the right, as wide as the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from placevec.options import described

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_LEFT, _WIDEST = 30, 110


class Columns:
    """Plain text in two columns: a formatter of cyclopts."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """A group of options, arguments or commands."""
        if not panel.entries:
            return
        width = min(console.width, _WIDEST)
        lines = [f"{panel.title}:"]
        for entry in panel.entries:
            left = f"  {', '.join(entry.display_labels_with_metavar)}"
            words = textwrap.wrap(_words(entry), max(width - _LEFT, 30)) or [""]
            if len(left) > _LEFT - 2:
                lines.append(left)
                left = ""
            lines.append(f"{left:<{_LEFT}}{words[0]}".rstrip())
            lines += [f"{'':<{_LEFT}}{line}" for line in words[1:]]
        _print(console, "\n".join(lines) + "\n")

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """The line with the arguments."""
        _print(console, f"Usage: {_text(usage).removeprefix('Usage:').strip()}\n")

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """The description of the command, with its own line breaks."""
        _print(console, f"{_text(description)}\n")


def _words(entry: HelpEntry) -> str:
    """The description of an entry, with its choices and default."""
    return described(_text(entry.description).rstrip("."), entry.default, entry.choices or ())


def _text(content: Any) -> str:
    plain = getattr(content, "plain", None)
    if plain is None and hasattr(content, "primary_renderable"):
        plain = getattr(content.primary_renderable, "plain", None) or str(content.primary_renderable)
    return ("" if content is None else str(content) if plain is None else str(plain)).strip()


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
