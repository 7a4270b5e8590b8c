"""The log of a run: ``metrics.jsonl`` for scripts, TensorBoard events for people."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from placevec.io.atomic import explained, write_text
from placevec.io.checksums import OWN, crc32_of_file, read_sealed, write_sealed
from placevec.io.files import refuse_pipe
from placevec.io.json_documents import check

SUMS = "checksums.json"
"""Lengths and checksums of the files of the log."""


class RunLog:
    """Appends one JSON line per epoch, and the same metrics as TensorBoard scalars.

    Opening it at ``step`` drops everything that an interrupted run logged after that step.
    """

    def __init__(self, run: Path, step: int, *, active: bool = True) -> None:
        self.path = run / "metrics.jsonl"
        self.active = active
        self.writer: Any = None
        if not active:
            return
        (run / SUMS).unlink(missing_ok=True)
        kept = [json.dumps(row) for row in read_metrics(run) if row["step"] <= step]
        write_text(self.path, "".join(line + "\n" for line in kept))
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)  # type: ignore[no-untyped-call]

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Write one row: the step and its metrics (NaN becomes null)."""
        if not self.active:
            return
        row = {name: (value if value == value else None) for name, value in numbers.items()}
        with explained(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **row}) + "\n")
            file.flush()
        with explained(self.path.with_name("tensorboard")):
            for name, value in numbers.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()
        record_sums(self.path.parent)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writer is not None:
            with explained(self.path.with_name("tensorboard")):
                self.writer.close()
            if kind is None:
                record_sums(self.path.parent)


def record_sums(run: Path) -> None:
    """Record how long the log's files are and their CRC-32, since they only grow."""
    found = [run / "metrics.jsonl", *(path for path in (run / "tensorboard").rglob("*") if path.is_file())]
    sums = {}
    for path in sorted(found):
        size = path.stat().st_size
        sums[path.relative_to(run).as_posix()] = {"bytes": size, "crc32": crc32_of_file(path, size)}
    write_sealed(run / SUMS, {"files": sums})


def damage_of_log(run: Path) -> list[str]:
    """What is wrong with the log's files, one line each; empty if nothing is, or if nothing was logged yet."""
    if not (run / SUMS).exists():
        return []
    try:
        content = read_sealed(run / SUMS)
        check(content, {"files": {str: {"bytes": int, "crc32": int}}, OWN: str})
    except (OSError, ValueError) as error:
        return [f"{run / SUMS} is damaged: {error}"]
    problems = []
    for name, about in content["files"].items():
        path = run / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif path.stat().st_size < about["bytes"] or crc32_of_file(path, about["bytes"]) != about["crc32"]:
            problems.append(f"{path} is damaged: its content has changed since it was written")
    return problems


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's ``metrics.jsonl`` up to the first invalid one, such as a last line truncated by a kill.

    >>> import tempfile
    >>> run = Path(tempfile.mkdtemp())
    >>> _ = (run / "metrics.jsonl").write_text('{"step": 100, "loss": 0.5}\\n')
    >>> read_metrics(run)
    [{'step': 100, 'loss': 0.5}]
    """
    rows: list[dict[str, Any]] = []
    path = run / "metrics.jsonl"
    refuse_pipe(path, "log")
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            break
        rows.append(row)
    return rows
