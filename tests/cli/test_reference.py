"""The pages that are made of the options are what ``python -m placevec.cli.reference docs`` makes now."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.cli.reference import PAGE, options_page, with_tables
from placevec.recipes import RECIPES, recipe
from tests.cli.commands import commands, options_of

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_options_page_is_current() -> None:
    assert (DOCS / PAGE).read_text("utf-8") == options_page()


def test_the_options_page_names_every_command_and_flag() -> None:
    """Oracle: the application itself."""
    sections = (DOCS / PAGE).read_text("utf-8").split("\n## placevec ")
    found = {section.split("\n", 1)[0]: section for section in sections[1:]}
    assert found.keys() == commands().keys()
    for words, section in found.items():
        assert all(f"`{flag}`" in section for flag in options_of(words))


@pytest.mark.parametrize("name", RECIPES.builtin)
def test_the_tables_of_founding_systems_are_current(name: str) -> None:
    page = (DOCS / "coming-from" / f"{name}.md").read_text("utf-8")
    assert page == with_tables(page, recipe(name))
    assert page.count("<!-- table: ") == len(recipe(name).former_commands())
