"""The page for users of the original Where2Vec: every command runs, every flag exists.

Oracles: exit codes, files that the commands promise, and the flags of the command line itself. Wikidata is a server on
loopback, Malta a small extract of its own, the text model of the checkpoint a tiny one.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from placevec import cli
from tests.encoders import tiny_text_model
from tests.models.importers.test_where2vec import Founding
from tests.osm_xml import OsmFile, box
from tests.test_surface import PINNED
from tests.wikibase import serving

TEXT = (Path(__file__).resolve().parent.parent / "docs/coming-from/where2vec.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("placevec ")
]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands read: an extract, and a table with chips as the founding code wrote them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    osm = OsmFile()
    osm.way(box(14.5, 35.9, 14.51, 35.91), {"leisure": "park", "name": "Ġnien", "wikidata": "Q9"})
    osm.write(tmp_path / "malta.osm", bounds=(14.4, 35.8, 14.6, 36.0))
    (tmp_path / "s2_chips").mkdir()
    for number in range(3):
        np.savez(tmp_path / f"s2_chips/u{number}.npz", chip=np.full((4, 20, 20), 100 * number, np.uint16))
    rows = "".join(f"o{n},e{n},water,s2_chips/u{n}.npz,a water body called Étang {n}\n" for n in range(3))
    head = "obs_id,entity_id,entity_type,chip_path,text\n"
    (tmp_path / "multimodal_dataset.csv").write_text(head + rows, "utf-8")
    founding = Founding(tiny_text_model.write(tmp_path / "base"))
    torch.save(founding.state_dict(), tmp_path / "best_epoch_150.pt")
    return tmp_path


def test_every_command_runs(world: Path) -> None:
    """In the order of the page, each with exit code 0; then what they promise is there."""
    assert len(COMMANDS) >= 4
    with serving() as server:
        for command in COMMANDS:
            words = shlex.split(command)[1:]
            stands_for = {"malta.osm.pbf": "malta.osm", "api": server.address}
            more = ["--text-model", str(world / "base")] if words[0] == "import-weights" else []
            assert cli.main([*(stands_for.get(word, word) for word in words), *more]) == 0, command
        assert server.ids()[0] == ["Q9"]
    names = pd.read_parquet(world / "data/malta/text.parquet")["text"].tolist()
    assert {"Ġnien", "旧公園"} <= set(names)
    before, again = (
        pd.read_csv(world / folder / "multimodal_dataset.csv").iloc[:, :5] for folder in (".", "again")
    )
    same = ["obs_id", "entity_id", "entity_type", "text"]
    assert before[same].equals(again[same])


def test_every_flag_of_the_page_is_known() -> None:
    verbs = json.loads(PINNED.read_text())["verbs"]
    known = {flag for flags in verbs.values() for flag in flags}
    known |= set(
        re.findall(
            r"`(--[a-z0-9-]+)`", (Path(__file__).parent.parent / "docs/reference/options.md").read_text()
        )
    )
    assert set(re.findall(r"--[a-z][a-z0-9-]*", TEXT)) <= known
