"""A large extract out of a small real one: copies side by side, numbered anew, that do not overlap.

python -m benchmarks.copies malta.osm.pbf out.osm.pbf 100
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import osmium

from placevec.sources.osm.reader import extent, read_header

_LETTERS = "nwr"
_MEMBER = re.compile("([nwr])([0-9]+)@")


class _Line(NamedTuple):
    """One object in osmium's text format: its number, its text without number and references, its references."""

    number: int
    tags: str
    place: tuple[float, float] | None
    nodes: list[int]
    members: list[tuple[str, int, str]]


def write_copies(source: Path, target: Path, copies: int) -> None:
    """Write ``copies`` of an extract on a grid of longitude and latitude, sorted as extracts are.

    Nodes and ways are moved up by the greatest number in use; relations are numbered without gaps, since osmium keeps
    a bit for each number up to the greatest (a few megabytes for all of OSM).
    """
    box = read_header(source).area or extent(source)
    columns = max(1, round(copies**0.5))
    wide, high = 1.15 * (box.east - box.west), 1.15 * (box.north - box.south)
    rows = -(-copies // columns)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        text, joined = Path(folder) / "one.opl", Path(folder) / "all.opl"
        with osmium.SimpleWriter(osmium.io.File(str(text), "opl,add_metadata=false")) as writer:
            osmium.apply(str(source), writer)
        found: dict[str, list[_Line]] = {letter: [] for letter in _LETTERS}
        for line in text.read_text("utf-8").splitlines():
            found[line[0]].append(_parsed(line))
        order = {line.number: number for number, line in enumerate(found["r"], 1)}
        step = {letter: max((line.number for line in found[letter]), default=0) + 1 for letter in "nw"}
        step["r"] = len(order) + 1
        shifts = [(wide * (n % columns), high * (n // columns - rows // 2)) for n in range(copies)]
        with open(joined, "w", encoding="utf-8") as file:
            for letter in _LETTERS:
                for copy, (east, north) in enumerate(shifts):
                    first = {name: copy * size for name, size in step.items()}
                    file.writelines(
                        _written(letter, line, first, order, east, north) for line in found[letter]
                    )
        header = osmium.io.Header()
        header.set("sorting", "Type_then_ID")
        south, north = box.south - high * (rows // 2), box.north + high * (rows - 1 - rows // 2)
        header.add_box(osmium.osm.Box(box.west, south, box.east + wide * (columns - 1), north))
        with osmium.SimpleWriter(str(target), header=header, overwrite=True) as writer:
            osmium.apply(osmium.io.Reader(osmium.io.File(str(joined), "opl")), writer)


def _parsed(line: str) -> _Line:
    number, *fields = line.split(" ")
    tags, x, y, nodes, members = "", None, None, [], []
    for one in fields:
        if one[:1] == "T":
            tags = one
        elif one[:1] == "x" and len(one) > 1:
            x = float(one[1:])
        elif one[:1] == "y" and len(one) > 1:
            y = float(one[1:])
        elif one[:1] == "N" and len(one) > 1:
            nodes = [int(ref[1:]) for ref in one[1:].split(",")]
        elif one[:1] == "M" and len(one) > 1:
            members = [
                (match[1], int(match[2]), ref[match.end() :])
                for ref in one[1:].split(",")
                if (match := _MEMBER.match(ref))
            ]
    return _Line(int(number[1:]), tags, None if x is None or y is None else (x, y), nodes, members)


def _written(
    letter: str, line: _Line, first: dict[str, int], order: dict[int, int], east: float, north: float
) -> str:
    if letter == "n":
        place = f" x{line.place[0] + east:.7f} y{line.place[1] + north:.7f}" if line.place else ""
        return f"n{line.number + first['n']} {line.tags}{place}\n"
    if letter == "w":
        base = first["n"]
        return (
            f"w{line.number + first['w']} {line.tags} N{','.join([f'n{ref + base}' for ref in line.nodes])}\n"
        )
    members = ",".join(
        f"{kind}{(order.get(ref, 0) if kind == 'r' else ref) + first[kind]}@{role}"
        for kind, ref, role in line.members
        if kind != "r" or ref in order
    )
    return f"r{order[line.number] + first['r']} {line.tags} M{members}\n"


if __name__ == "__main__":
    write_copies(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
