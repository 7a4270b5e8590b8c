"""The house keeps its promises: few rooms, no circles, and nobody knows a recipe or a view by name but those who must."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import placevec
from placevec.recipes import RECIPES

SOURCE = Path(placevec.__file__).parent
WORD = re.compile(rf"(?<![\w.-])({'|'.join(RECIPES.builtin)})(?![\w-])")
"""A recipe's name as a word of its own: ``loc2vec-12`` is one of foreign weights."""
FOREIGN = ("loc2vec.",)
"""Spellings of others: a prefix of the names of weights in founding checkpoints."""
REGISTRY = SOURCE / "recipes" / "__init__.py"


@cache
def literals(file: Path) -> list[tuple[int, str]]:
    """(line, text) of every string in a file that is no docstring."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    documents = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.lineno, node.value)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]


def test_nothing_outside_of_its_folder_names_a_recipe() -> None:
    """But the registry: whoever adds a recipe of their own touches nothing else. Oracle: the text of the sources."""
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        if file == REGISTRY or (place.parts[0] == "recipes" and len(place.parts) > 2):
            continue
        found += [
            f"{place}:{line}: {text[:60]!r}"
            for line, text in literals(file)
            if WORD.search(text) and text not in FOREIGN
        ]
    assert not found, "\n".join(found)


def test_no_recipe_names_another() -> None:
    """Oracle: the text of the sources of each recipe's folder."""
    for name in RECIPES.builtin:
        for file in (SOURCE / "recipes" / name).rglob("*.py"):
            others = {word for _, text in literals(file) for word in WORD.findall(text)} - {name}
            assert not others, f"{file} names {others}"


def test_few_rooms() -> None:
    """What lies directly in the package, counted by the file system."""
    rooms = [path for path in SOURCE.iterdir() if path.name not in ("__pycache__", "py.typed")]
    assert len(rooms) <= 27


def test_no_circles() -> None:
    """Neither between modules nor between folders, imports for type checking included. Oracle: grimp's graph."""
    import grimp

    graph = grimp.build_graph("placevec", exclude_type_checking_imports=False, cache_dir=None)
    edges = {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    assert not _circle(edges)
    for depth in (2, 3):
        folders = {(_upto(a, depth), _upto(b, depth)) for a, b in edges}
        assert not _circle({(a, b) for a, b in folders if a != b})


def _upto(module: str, depth: int) -> str:
    return ".".join(module.split(".")[:depth])


def _circle(edges: set[tuple[str, str]]) -> set[str]:
    """What is left when whatever imports nothing, or nothing that is left, is taken away again and again."""
    left = {one for edge in edges for one in edge}
    while True:
        importers = {a for a, b in edges if a in left and b in left}
        if importers == left:
            return left
        left = importers


VIEW_NAMES = ("map", "chips", "image_features")
OTHER_MEANINGS = {
    "api/exploring.py": "the output of --map",
    "cli/explore.py": "the key of what --map wrote, in JSON",
    "datasets/additions.py": "kinds in manifests of before",
    "explorer/pages/map_page.py": "the layout of a page",
    "explorer/pages/page.py": "the layout of a page, and a key of its data",
    "explorer/pages/template.py": "the layout of a page",
    "preparation/chips/images.py": "the option that is called so",
}
"""File -> what such a text means there; it is no name of a view."""


def test_nothing_outside_of_its_reader_names_a_view() -> None:
    """But recipes, whose presets say what they read. Oracle: the text of the sources."""
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        if place.parts[:2] == ("datasets", "views") or (place.parts[0] == "recipes" and len(place.parts) > 2):
            continue
        texts = [f"{place}:{line}: {text!r}" for line, text in literals(file) if text in VIEW_NAMES]
        if place.as_posix() in OTHER_MEANINGS:
            assert texts, f"{place} has nothing left to except"
            continue
        found += texts
    assert not found, "\n".join(found)


def test_drawing_a_map_loads_no_torch() -> None:
    """Each worker process that draws would spend a second and 200 MB on it."""
    program = (
        "import sys, placevec.preparation.rasterize.pipeline, placevec.preparation.rasterize.shard_job;"
        "print([name for name in ('torch', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
