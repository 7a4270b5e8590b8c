"""The documentation is true: its code runs, its verbs and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Python block of the tutorial, in order, in an empty directory; then its pages and tables exist."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for number, block in enumerate(blocks("tutorial.md", "python")):
        exec(compile(block, f"tutorial.md, block {number}", "exec"), space)
    assert (tmp_path / "helsinki.html").stat().st_size > 100_000
    assert (tmp_path / "helsinki.parquet").exists()
    assert "embedded_afresh': True" in capsys.readouterr().out


def test_every_command_in_the_documentation_exists() -> None:
    """Each ``placevec VERB --option`` in the pages and the README is known to the command line."""
    import typer

    from placevec.cli.app import build_app

    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    seen = 0
    for page in pages:
        text = page.read_text("utf-8").replace("\\\n", " ")
        fenced = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
        tables = re.findall(r"^\| `(placevec [a-z][^`]*)`", text, re.MULTILINE)
        for line in [*re.findall(r"^(placevec [a-z].*)$", fenced, re.MULTILINE), *tables]:
            verb, *_ = line.removeprefix("placevec ").split()
            verb = verb.strip("`")
            assert verb in commands, f"{page.name}: {line}"
            known = {option for parameter in commands[verb].params for option in parameter.opts}
            known |= {"--help", "-h"}
            for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", line.split("`")[0]):
                assert option in known, f"{page.name}: {option} in {line}"
            seen += 1
    assert seen > 8
