"""Fuzzing led by coverage (`make fuzz`): ``python -m tests.fuzz [--seconds 60] [--folder DIR] [READER ...]``.

Every reader runs in a process of its own under atheris, from the same valid files and with the same injuries as
the tests, until something breaks or its time is over. What breaks it is kept in the folder, with its traceback.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers import READERS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument(
        "readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}; all by default"
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (60)")
    parser.add_argument("--folder", type=Path, help="where findings are kept; a temporary folder by default")
    arguments = parser.parse_args()
    if unknown := set(arguments.readers) - set(READERS):
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        print('SKIPPED: atheris is not installed; bring it with: pip install "placevec[fuzz]"')
        return 0
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="placevec-fuzz-"))
    broken = []
    for name in arguments.readers or READERS:
        code = _run(name, folder / name, arguments.seconds)
        print(f"{name}: {'nothing found' if code == 0 else f'BROKEN, see {folder / name}'}", flush=True)
        broken += [name] if code else []
    return 1 if broken else 0


def _run(name: str, folder: Path, seconds: int) -> int:
    """One reader in a process of its own, since findings in native code end it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.under_atheris", name, str(folder), str(seconds)]
    with open(folder / "log.txt", "wb") as log:
        return subprocess.run(
            command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
