"""Run the benchmarks named (all by default), print their rows and write them into BENCHMARKS.md.

python -m benchmarks [import|burn|entities|read|embed|tables|tiles|train|loc2vec|locations|presence|cells|precision|memory
    |page|ray|search|serve|where2vec|where2vec-memory ...] [--no-write]
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path

from benchmarks import (
    app,
    burn,
    cells,
    embed,
    entities,
    imports,
    loc2vec,
    locations,
    memory,
    page,
    precision,
    presence,
    ray,
    read,
    search,
    serve,
    tables,
    tile_server,
    train,
    where2vec_memory,
    where2vec_step,
)
from benchmarks.measure import Row
from placevec.errors import MissingExtraError

BENCHES = {
    "train": train.rows,
    "import": imports.rows,
    "burn": burn.rows,
    "entities": entities.rows,
    "read": read.rows,
    "embed": embed.rows,
    "tables": tables.rows,
    "tiles": tile_server.rows,
    "loc2vec": loc2vec.rows,
    "locations": locations.rows,
    "presence": presence.rows,
    "cells": cells.rows,
}
ON_REQUEST = {
    "app": app.rows,
    "memory": memory.rows,
    "page": page.rows,
    "precision": precision.rows,
    "ray": ray.rows,
    "search": search.rows,
    "serve": serve.rows,
    "where2vec": where2vec_step.rows,
    "where2vec-memory": where2vec_memory.rows,
}
"""Only when named: they take long."""
NEEDS = {"search": search.require_packages}
"""What is looked for before anything is measured."""
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
TARGET = Path(__file__).resolve().parent.parent / "BENCHMARKS.md"


def machine() -> str:
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def table(found: list[Row]) -> str:
    lines = [
        "| what | placevec | against | ratio | spread of ours | what was counted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        ours, theirs = f"{row.ours:,.4g} {row.unit}", f"{row.theirs:,.4g} {row.unit}"
        lines.append(
            f"| {row.what} | {ours} | {row.against}: {theirs} | **{row.ratio:.2g}x** | {row.spread} | {row.counted} |"
        )
    return "\n".join(lines)


def main() -> int:
    flags = [word for word in sys.argv[1:] if word.startswith("-") and word != "--no-write"]
    if flags:
        print(__doc__)
        return 0 if flags[0] in ("-h", "--help") else 2
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(BENCHES)
    known = BENCHES | ON_REQUEST
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark is called {unknown[0]!r}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        for name in names:
            NEEDS.get(name, lambda: None)()
    except MissingExtraError as error:
        print(f"the benchmark {name} cannot run: {error}", file=sys.stderr)
        return 2
    found = [row for name in names for row in known[name]()]
    command = "make bench" + (f' ARGS="{" ".join(names)}"' if names != list(BENCHES) else "")
    text = f"`{command}`, {datetime.date.today()}, {machine()}.\n\n{table(found)}"
    print(text)
    if "--no-write" not in sys.argv and names == list(BENCHES):
        old = TARGET.read_text("utf-8")
        before, after = old.split(BEGIN)[0], old.split(END)[1]
        TARGET.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
