"""Filling the page template: data never becomes markup or script.

Data is embedded in JSON blocks that browsers do not execute, escaped so that it cannot end the block. The content
security policy allows the one script and the one style sheet by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from importlib import resources

SCRIPTS = (
    "data.js", "state.js", "neighbors.js", "colors.js", "splat.js", "brush.js", "gestures.js", "pane.js", "cells.js",
    "shapes.js", "projector.js", "panels.js", "basemap.js", "map.js", "previews.js", "tip.js", "legend.js", "export.js",
    "card.js", "queries.js", "search.js", "popup.js", "page.js",
)  # fmt: skip
"""Parts of the page's script, in order."""
SERVED = "served.js"
"""The part of a page that is served; static pages do not have it."""
IN_APP = "app.js"
"""The part of a page inside the app."""


def asset(name: str) -> str:
    """The text of a front-end file of the package.

    >>> asset("page.html")[:15]
    '<!doctype html>'
    """
    return resources.files("placevec.explorer").joinpath("assets", name).read_text("utf-8")


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def style_hash(style: str) -> str:
    """The source of a style sheet in a content security policy.

    >>> style_hash("")[:15]
    "'sha256-47DEQpj"
    """
    return _hash(style)


def policy_of(script: str, style: str) -> str:
    """A content security policy that allows these two, by their hashes, and nothing else.

    >>> policy_of("", "").startswith("default-src 'none'; script-src 'sha256-")
    True
    """
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _block(name: str, text: str) -> str:
    return f'<script type="application/json" id="placevec-{name}">{text}</script>'


def fill_page(
    *,
    title: str,
    attribution: str,
    version: str,
    first: Mapping[str, str],
    later: Mapping[str, str],
    layout: str = "both",
    pictures: str = "layers",
    served: bool = False,
    in_app: bool = False,
) -> str:
    """The page as text.

    Args:
        title, attribution, version: plain text.
        first: JSON (from `embeddable_json`) that the script needs immediately, by name.
        later: JSON that it reads after the page has been parsed: images and vectors.
        layout: ``both`` views, or the ``map`` alone.
        served: whether a server of the page answers queries, see `placevec.explorer.serving`; it then may ask that
            server, and nobody else.
        in_app: whether the page is an element of the app, see `placevec.app`.
        pictures: ``layers`` if images are inverted in dark mode, ``colors`` if not.
    """
    style = asset("page.css")
    scripts = (*SCRIPTS[:-1], *((SERVED,) if served else ()), *((IN_APP,) if in_app else ()), SCRIPTS[-1])
    script = "\n".join(['"use strict";', "{", *(asset(name) for name in scripts), "}"])
    values = {
        "policy": policy_of(script, style) + ("; connect-src 'self'" if served else ""),
        "title": html.escape(title),
        "attribution": html.escape(attribution),
        "version": html.escape(version),
        "layout": html.escape(layout),
        "pictures": html.escape(pictures),
        "projector_hidden": "hidden" if layout == "map" else "",
        "style": style,
        "script": script,
        "blocks_first": "\n".join(_block(name, text) for name, text in first.items()),
        "blocks_later": "\n".join(_block(name, text) for name, text in later.items()),
    }
    # In one pass, so that inserted values are never scanned for placeholders.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], asset("page.html"))
