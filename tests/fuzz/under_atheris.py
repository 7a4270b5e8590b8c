"""One reader under atheris: ``python -m tests.fuzz.under_atheris READER FOLDER SECONDS``, started by `make fuzz`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["placevec", "tifffile"]):
    from tests.fuzz.corpus import build
    from tests.fuzz.mutations import damaged
    from tests.fuzz.readers import FAILED, READERS, checked, seeds, settle

MEMORY_MIB = 4096
SLOWEST_S = 60


def fuzz() -> None:
    """Hand the reader to atheris, which ends the process."""
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    scratch = Path(tempfile.mkdtemp(prefix="placevec-fuzz-"))
    corpus = build(scratch / "corpus")
    place = settle(name, corpus, scratch / "scratch")
    files = seeds(name, corpus)
    valid = {file: (place / file).read_bytes() for file in files}
    started = folder / "corpus"
    started.mkdir(exist_ok=True)
    for number, file in enumerate(files):  # the first byte tells which file it is
        (started / f"seed-{number}").write_bytes(bytes([number]) + valid[file])

    def one(data: bytes) -> None:
        file = files[data[0] % len(files)] if data else files[0]
        (place / file).write_bytes(data[1:])
        outcome, said = checked(READERS[name], place, place / file)
        (place / file).write_bytes(valid[file])
        if outcome == FAILED:
            (folder / f"found-{Path(file).name}").write_bytes(data[1:])
            raise AssertionError(said)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.randint(0, 1):
            return bytes(atheris.Mutate(data, most))
        number = random.randrange(len(files))
        return (bytes([number]) + damaged(files[number].name, valid[files[number]], random))[:most]

    longest = 2 * max(map(len, valid.values())) + 4096
    options = [
        f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MIB}", f"-timeout={SLOWEST_S}", f"-max_len={longest}",
        f"-artifact_prefix={folder}/", str(started),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
