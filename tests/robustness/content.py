"""What of an output must not depend on how often it was interrupted: all of it but times of day and speeds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from placevec.io.parquet import own_metadata

UNFINISHED = (".tmp-", ".work", ".new", "placevec-")


def leftovers(folder: Path) -> list[str]:
    """What a finished command should have taken away: names of temporary files and folders below ``folder``."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.startswith(UNFINISHED[:1] + UNFINISHED[3:]) or path.name.endswith(UNFINISHED[1:3])
    )


def _bytes_of(folder: Path, skipped: tuple[str, ...]) -> dict[str, Any]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in skipped
    }


def of_files(folder: Path) -> dict[str, Any]:
    """Every file's bytes."""
    return _bytes_of(folder, ())


def of_dataset(folder: Path) -> dict[str, Any]:
    """Every file's bytes; of the manifest all but when it and its parts were made."""
    manifest = json.loads((folder / "dataset.json").read_text("utf-8"))
    for part in (manifest, *manifest["provenance"].values(), *manifest.get("additions", ())):
        part.pop("created")
    manifest.pop("checksum_of_this_file")
    return {**_bytes_of(folder, ("dataset.json",)), "dataset.json": manifest}


def of_run(folder: Path) -> dict[str, Any]:
    """Every file's bytes, the optimizer's state too, but TensorBoard's; of the log all but the speed."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        row.pop("steps_per_second")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.pop("checksum_of_this_file")
    for name in ("weights_sha256", "card_sha256"):  # the second is what a kill in the middle of a save left
        config[name] = config[name][0]
    skipped = ("metrics.jsonl", "tensorboard", "checksums.json", "config.json")
    return {**_bytes_of(folder, skipped), "metrics.jsonl": rows, "config.json": config}


def of_table(path: Path) -> dict[str, Any]:
    """Columns, bit by bit, and metadata but for when they were made."""
    table = pq.read_table(path)
    metadata = {key.decode(): json.loads(value) for key, value in own_metadata(table.schema.metadata).items()}
    metadata["placevec"]["provenance"].pop("created")
    metadata["stac"].pop("processing:datetime")
    columns = {
        name: hashlib.sha256(
            b"".join(
                buffer.to_pybytes() for chunk in table[name].chunks for buffer in chunk.buffers() if buffer
            )
        ).hexdigest()
        for name in table.column_names
    }
    return {"rows": table.num_rows, "columns": columns, "metadata": metadata}
