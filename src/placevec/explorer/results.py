"""Results of a search as a picture: what the model reads of each place, with the outline of its entity."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from placevec._version import __version__
from placevec.errors import UsageError
from placevec.explorer.embedded import base64_of
from placevec.explorer.figures.canvas import INK, PAPER, QUIET, fonts, latin, shown
from placevec.explorer.maps.cartography import Bytes
from placevec.explorer.pages.template import asset, style_hash
from placevec.io import atomic
from placevec.io.progress import printable

FORMATS = (".html", ".png")
_LONGEST = 300
_ACROSS = 5
_DOTS = 120


@dataclass(frozen=True)
class Result:
    """One place in the picture.

    Attributes:
        title: raw, hostile text.
        facts: a few short texts below it.
        picture: (H, W, 3) uint8, or None if nothing is known to draw.
        rank: from 1; 0 for the query itself.
    """

    title: str
    facts: Sequence[str]
    picture: Bytes | None
    rank: int


def write_results(
    path: Path, results: Sequence[Result], *, title: str, notes: Sequence[str] = (), credit: str = ""
) -> None:
    """Write .html, a page without scripts that opens without a network, or .png (needs Matplotlib); atomically.

    UsageError for another extension.
    """
    if path.suffix.lower() == ".html":
        atomic.write_text(path, _page(results, title, notes, credit))
    elif path.suffix.lower() == ".png":
        _figure(path, results, title, notes, credit)
    else:
        raise UsageError(f"a picture of results must end in {' or '.join(FORMATS)}; got {path.name!r}")


def _page(results: Sequence[Result], title: str, notes: Sequence[str], credit: str) -> str:
    style = asset("results.css")
    only = "base-uri 'none'; form-action 'none'"
    values = {
        "policy": f"default-src 'none'; img-src data:; style-src {style_hash(style)}; {only}",
        "title": _text(title),
        "style": style,
        "version": html.escape(__version__),
        "attribution": _text(credit),
        "notes": "".join(f"<p dir=auto>{_text(note)}</p>" for note in notes),
        "results": "\n".join(map(_card, results)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], asset("results.html"))


def _card(one: Result) -> str:
    if one.picture is None:
        picture = "<div class=none>no picture</div>"
    else:
        content = io.BytesIO()
        Image.fromarray(one.picture).save(content, "PNG")
        picture = f'<img alt="" src="data:image/png;base64,{base64_of(content.getvalue())}">'
    rank = f"<b>{one.rank}</b>" if one.rank else "<b>query</b>"
    facts = "".join(f"<span><bdi>{_text(fact)}</bdi></span>" for fact in one.facts)
    return f"<li>{picture}<h2>{rank} <bdi>{_text(one.title)}</bdi></h2><p>{facts}</p></li>"


def _text(text: str) -> str:
    return html.escape(printable(text[:_LONGEST]))


def _figure(path: Path, results: Sequence[Result], title: str, notes: Sequence[str], credit: str) -> None:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    down = -(-len(results) // _ACROSS)
    with matplotlib.rc_context({"font.family": fonts()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(2.3 * _ACROSS, 0.9 + 3.0 * down), dpi=_DOTS, facecolor=PAPER)
        FigureCanvasAgg(figure)
        high = 0.9 + 3.0 * down
        figure.text(
            0.02, 1 - 0.22 / high, shown(title, 110), fontsize=12, color=INK, va="center", parse_math=False
        )
        for number, one in enumerate(results):
            across, row = number % _ACROSS, number // _ACROSS
            axes = figure.add_axes(
                (
                    0.02 + across * 0.196,
                    1 - (0.5 + 3.0 * row + 2.15) / high,
                    0.18,
                    0.18 * 2.3 * _ACROSS / high,
                )
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if one.picture is not None:
                axes.imshow(one.picture, interpolation="nearest")
            rank = f"{one.rank}  " if one.rank else "query  "
            lines = [rank + shown(one.title, 26), *(shown(fact, 34) for fact in one.facts)]
            for line, text in enumerate(lines):
                axes.text(
                    0, -0.09 - 0.09 * line, text, transform=axes.transAxes, fontsize=8 if line else 9,
                    color=QUIET if line else INK, va="center", parse_math=False,
                )  # fmt: skip
        below = "  ".join((*notes, credit))
        figure.text(
            0.02, 0.16 / high, shown(below, 190), fontsize=7, color=QUIET, va="center", parse_math=False
        )
        with atomic.replacing(path) as temporary:
            figure.savefig(
                temporary, format="png", metadata={"Title": latin(title), "Description": latin(credit)}
            )
