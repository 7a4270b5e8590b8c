from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from placevec.explorer.embedded import base64_of, embeddable_json
from placevec.explorer.pages.template import SCRIPTS, asset, fill_page
from tests.explorer.standin import HOSTILE_NAMES

PAGE = fill_page(
    title="<b>{{script}}</b> & \"x\"", attribution="© <i>us</i>", version="1",
    first={"places": embeddable_json(list(HOSTILE_NAMES))}, later={"map": "null"},
)  # fmt: skip


@given(st.text(st.characters(codec=None)))
def test_json_reads_back_and_cannot_end_its_block(text: str) -> None:
    """Oracle: the standard library's JSON reader; and no character that HTML could act on is left."""
    written = embeddable_json({"name": text})
    assert json.loads(written) == {"name": text}
    assert not re.search("[<>&\u2028\u2029]", written)
    written.encode("utf-8")


def test_arrays_are_little_endian() -> None:
    assert base64.b64decode(base64_of(np.array([1, 2], ">i2"))) == b"\x01\x00\x02\x00"


def test_policy_allows_this_script_and_style_and_nothing_else() -> None:
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', PAGE)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    script = re.findall("<script>(.*?)</script>", PAGE, re.DOTALL)
    style = re.findall("<style>(.*?)</style>", PAGE, re.DOTALL)
    assert len(script) == len(style) == 1

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'", "script-src": digest(script[0]), "style-src": digest(style[0]),
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


def test_only_a_served_page_may_ask_and_only_its_server() -> None:
    filled = {"title": "", "attribution": "", "version": "1", "first": {}, "later": {}}
    served = fill_page(**filled, served=True)  # type: ignore[arg-type]
    assert "fetch(" not in PAGE
    assert "connect-src" not in PAGE
    assert re.findall(r"fetch\(([^,]*),", served) == ['"/words"']
    assert "; connect-src 'self'\"" in served


def test_values_are_text_and_never_filled_in_again() -> None:
    assert "<title>&lt;b&gt;{{script}}&lt;/b&gt; &amp; &quot;x&quot;</title>" in PAGE
    assert "© &lt;i&gt;us&lt;/i&gt;" in PAGE
    block = re.search('id="placevec-places">(.*?)</script>', PAGE, re.DOTALL)
    assert block
    assert json.loads(block[1]) == list(HOSTILE_NAMES)
    assert PAGE.count("<script") == 3
    assert "onerror=alert(1)>" not in PAGE


def test_front_end_asks_for_nothing_and_builds_no_markup() -> None:
    """Privacy and hostile names (threats 8 and 21): no addresses, no markup from text, no evaluation, no storage."""
    sources = {name: asset(name) for name in (*SCRIPTS, "page.css", "page.html")}
    forbidden = (
        r"https?:", r"//[a-z]+\.[a-z]", "innerHTML", "outerHTML", "insertAdjacentHTML", r"document\.write", r"\beval\b",
        r"new Function", r"\bfetch\(", "XMLHttpRequest", "WebSocket", r"\bimport\(", "localStorage", r"url\(",
    )  # fmt: skip
    for name, text in sources.items():
        for pattern in forbidden:
            assert not re.search(pattern, text), f"{pattern} in {name}"
    assert not re.search(r"\son[a-z]+=|\sstyle=|\ssrc=|\shref=", sources["page.html"])
