"""The one property of all readers, as a function that hypothesis drives."""

from __future__ import annotations

import os
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.mutations import damaged
from tests.fuzz.readers import FAILED, REFUSED, VALID, seeds


def holds(name: str, corpus: Corpus, isolated: Isolated, examples: int) -> None:
    """Damaged files of a reader are refused in one line or read; AssertionError with what happened instead.

    ``HYPOTHESIS_PROFILE=explore`` draws other files each time, ten times as many.
    """
    files = seeds(name, corpus)
    home = corpus.folder / _home(name)
    exploring = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
    outcomes: set[str] = set()

    @settings(
        max_examples=examples * (10 if exploring else 1),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.sampled_from(files), st.integers(0, 2**32))
    def promise(file: object, seed: int) -> None:
        content = damaged(str(file), (home / str(file)).read_bytes(), Random(seed))
        outcome, said = isolated.read(name, str(file), content)
        outcomes.add(outcome)
        assert outcome != FAILED, f"{name}, {file}, seed {seed} ({len(content)} bytes): {said}"

    promise()
    assert outcomes <= {REFUSED, VALID}


def _home(name: str) -> str:
    from tests.fuzz.readers import READERS

    return READERS[name].home


def refused(isolated: Isolated, name: str, file: str, content: bytes) -> str:
    """What a reader says of content that it must refuse."""
    outcome, said = isolated.read(name, file, content)
    assert outcome == REFUSED, (outcome, said)
    return said
