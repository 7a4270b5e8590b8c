"""The product speaks plain American English: no British spelling and no private dialect where users read it.

The words come from DESIGN 2's table. What users read: messages of raised errors, warnings, progress and reports (the
string literals of a module that are no docstrings), docstrings, front-end files, and documentation pages. A folder is
checked once it has been rewritten: add it to `ROOMS` or `PAGES`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "__init__.py",
    "__main__.py",
    "api",
    "cli",
    "core.py",
    "datasets",
    "distributed",
    "embeddings",
    "encoders",
    "errors.py",
    "estimators.py",
    "evaluation",
    "explorer",
    "geo",
    "inference",
    "io",
    "metrics.py",
    "models",
    "options",
    "plugins.py",
    "preparation",
    "recipes",
    "service",
    "sources",
    "training",
)
"""Files and folders of ``src/placevec`` whose docstrings and messages are rewritten."""
PAGES = (
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "TESTING.md",
    "docs/benchmark-encoders.md",
    "docs/coming-from",
    "docs/command-line.md",
    "docs/csp.md",
    "docs/decisions",
    "docs/evaluation.md",
    "docs/extending.md",
    "docs/features.md",
    "docs/formats.md",
    "docs/hand-over.md",
    "docs/index.md",
    "docs/labeled-points.md",
    "docs/layers.md",
    "docs/location-encoders.md",
    "docs/page.md",
    "docs/pictures-of-location-models.md",
    "docs/postgresql.md",
    "docs/published-embeddings.md",
    "docs/releasing.md",
    "docs/python.md",
    "docs/robustness.md",
    "docs/scale.md",
    "docs/serve.md",
    "docs/sphere2vec.md",
    "docs/tile-server.md",
    "docs/training.md",
    "docs/tutorial-sphere2vec.md",
    "docs/tutorial.md",
    "docs/using.md",
    "docs/where2vec-model.md",
    "docs/where2vec.md",
)
"""Files and folders of documentation that are rewritten."""

BRITISH = re.compile(
    r"\b\w*(?:colour|(?<![a-z])(?:kilo|milli|centi|deci)?metre|centre|centring|neighbour|labelled|labelling|grey|learnt"
    r"|spelt|behaviour|favour|honour|catalogue|artefact|judgement|modelled|modelling|travelled|cancelled|licence)\w*"
    r"|\b\w*(?:optim|normal|standard|regular|initial|recogn|minim|maxim|emphas|general|parallel|summar|organ|raster|visual"
    r"|random|token|serial|quant|penal)is(?:e|ed|es|er|ers|ing|ation|ations)\b",
    re.IGNORECASE,
)
DIALECT = re.compile(
    r"\b(?:foretell\w*|foretold|taught|teaches|by heart|told apart|not told|is told|are told|told of|tells? apart|vouches"
    r"|held off|kept from training|judged?|judges|contests?|contenders?|no such|none of its|so many|that there is not"
    r"|hands over|handed over|in a line|is refused|are refused|refuses|what it is worth|are worth|is worth|floors?"
    r"|\d+ passes|(?:each|every|a|last|few) pass(?:es)?|pass \d+|as it comes|whole number|(?<!on )the ground|of ground"
    r"|that is none|when it is none|when it has none)\b|\d %",
    re.IGNORECASE,
)
NAMES = re.compile(r"\b_?(?:most|fewest|least)_[a-z_]+\b|\b_?(?:MOST|FEWEST|LEAST)_[A-Z_]+\b")
"""Limits are called max_ and min_."""

IDENTIFIERS = re.compile(
    r"(?:^|_)(?:foretell\w*|foretold|taught|teach\w*|judges?|judged|judging|contests?|contenders?|vouch\w*|learnt|formerly"
    r"|by_heart|told_apart|tells?_apart|held_off|floors?(?=_)|no_such)(?:_|$)",
    re.IGNORECASE,
)
"""Words that names of functions, classes, arguments and files do without."""
NAMED_SO = {"test_softpn_floor_of_unit_vectors", "licence"}
"""Names in which such a word is the right one."""

ALLOWED = {
    "taught",  # a preset of train loc2vec, until its option is renamed
}
"""Words in backticks, which are names, and need not be English."""

FIELDS = {"licence"}
"""Names of fields in files, as the schema has them."""


def files_of(names: tuple[str, ...], base: Path, *endings: str) -> Iterator[Path]:
    """Every file with one of the endings in the files and folders named; each name must exist."""
    for name in names:
        path = base / name
        assert path.exists(), f"{name} does not exist"
        yield from (
            [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix in endings)
        )


def strings_of(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string literal of a module, docstrings and parts of f-strings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in FIELDS:
            yield node.lineno, node.value


def prose_of(page: str) -> str:
    """A page of Markdown without its code blocks and names in backticks, at the same line numbers."""
    page = re.sub(r"```.*?```", lambda found: "\n" * found[0].count("\n"), page, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", page)


def found_in(text: str) -> list[str]:
    """What must not be in a text."""
    plain = re.sub(r"``[^`]*``|`[^`\n]*`", "", text)
    words = [found[0] for rule in (BRITISH, DIALECT) for found in rule.finditer(plain)]
    return [word for word in words if word.lower() not in ALLOWED]


def test_the_rules_find_what_they_are_for() -> None:
    """Oracle: sentences of issue 13 and of DESIGN 2, and their plain forms."""
    for bad in (
        "it learnt its places by heart",
        "Colours of the neighbours, in metres",
        "not told apart",
        "the optimiser",
        "which none of its classes is; there is no such option",
        "floors beside the model",
        "what it is worth shows on ground that it has not seen",
    ):
        assert found_in(bad), bad
    for good in (
        "no significant difference",
        "colors of neighbors, in meters",
        "parameters of the optimizer, a diameter",
        "baselines, epochs, predictions; ground distance",
        "an option of ``taught`` or `colour`",
        "otherwise raise; noise; promise; precise; pairwise",
    ):
        assert not found_in(good), good


def test_modules_speak_plain_american_english() -> None:
    wrong = []
    for path in sorted(files_of(ROOMS, ROOT / "src" / "placevec", ".py")):
        source, place = path.read_text("utf-8"), path.relative_to(ROOT)
        wrong += [f"{place}:{line}: {word}" for line, text in strings_of(source) for word in found_in(text)]
        wrong += [f"{place}: {found[0]}" for found in NAMES.finditer(source) if found[0] != "most_common"]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    sorted(files_of(ROOMS, ROOT / "src" / "placevec", ".js", ".html", ".css")),
    ids=lambda one: one.name,
)
def test_front_ends_speak_plain_american_english(path: Path) -> None:
    """Comments, texts and names alike; ``path`` of an ``svg`` and CSS values hold no words."""
    if path.suffix == ".py":
        pytest.skip("a module")
    wrong = [
        f"{number}: {word}"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for word in (found[0] for found in BRITISH.finditer(line))
    ]
    assert not wrong, f"{path.relative_to(ROOT)}: {'; '.join(wrong)}"


@pytest.mark.parametrize("path", sorted(files_of(PAGES, ROOT, ".md")), ids=lambda one: one.stem)
def test_pages_speak_plain_american_english(path: Path) -> None:
    wrong = [
        f"{number}: {word}"
        for number, line in enumerate(prose_of(path.read_text("utf-8")).splitlines(), 1)
        for word in found_in(line)
    ]
    assert not wrong, f"{path.relative_to(ROOT)}: {'; '.join(wrong)}"


def names_of(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every function, class and argument of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def wrong_in(name: str) -> bool:
    """Whether a name in snake_case or CamelCase holds a word that it should do without."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return name not in NAMED_SO and bool(IDENTIFIERS.search(words) or BRITISH.search(words.replace("_", " ")))


def test_the_rule_of_names_finds_what_it_is_for() -> None:
    """Oracle: names that were there, and their plain forms."""
    assert all(
        map(wrong_in, ("taught", "Formerly", "test_a_run_is_judged", "neighbours_of", "test_no_such_name"))
    )
    assert not any(
        map(wrong_in, ("trained_labels", "FormerFlag", "floor", "neighbors", "test_noise", "raises"))
    )


def test_names_and_files_are_plain_american_english() -> None:
    """Functions, classes and arguments of the package, its tests and benchmarks, and names of their files."""
    wrong = []
    for folder in ("src", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found = [(0, path.stem), *names_of(path.read_text("utf-8"))]
            wrong += [f"{path.relative_to(ROOT)}:{line} {name}" for line, name in found if wrong_in(name)]
    assert not wrong, "\n".join(wrong)
