"""Tables of chips and texts, in and out. Oracles: tables written by hand, the pixels that were stored, pandas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.sentences.templates import Templates
from placevec.errors import DatasetError, SourceError, UsageError
from placevec.io.byte_texts import decoded
from placevec.preparation.described.table import read_described
from tests.recipes.where2vec import small

HEAD = "obs_id,entity_id,entity_type,chip_path,text\n"


def chip(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 10_000, (4, 20, 20)).astype(np.uint16)


def founding(folder: Path) -> tuple[Path, Path]:
    """A table as the founding code wrote it on Windows, and its chips; one row lacks its chip, one its text."""
    chips = folder / "data" / "s2_chips"
    chips.mkdir(parents=True)
    for number in range(4):
        np.savez(chips / f"u{number}.npz", chip=chip(number))
    rows = [
        r'o0,e0,water,C:\data\s2_chips\u0.npz,"a water body called Étang (also known as Lac, 湖)"',
        "o1,e1,forest,s2_chips/u1.npz,a forest called Bois",
        "o2,e0,water,u2.npz,a water body called Étang",
        "o3,e2,farmland,s2_chips/u3.npz,",
        "o4,e3,forest,s2_chips/gone.npz,a forest called Perdu",
    ]
    table = folder / "multimodal_dataset.csv"
    table.write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
    return table, folder / "data"


def texts_of(dataset: Dataset) -> list[str]:
    rows = torch.arange(len(dataset))
    return decoded(dataset.view("text").read(Look(rows)))  # type: ignore[arg-type]


def test_a_founding_table_becomes_a_dataset(tmp_path: Path) -> None:
    table, chips = founding(tmp_path)
    dataset = api.prepare("where2vec", table=table, chips=chips, out=tmp_path / "ds")
    assert list(dataset.place_ids) == ["o0", "o1", "o2", "o3", "o4"]
    assert texts_of(dataset)[:2] == [
        "a water body called Étang (also known as Lac, 湖)",
        "a forest called Bois",
    ]
    labels = dataset.labels()
    assert [labels.classes[code] for code in labels.values] == [
        "water",
        "forest",
        "water",
        "farmland",
        "forest",
    ]
    view = dataset.view("satellite")
    read = view.read(Look(torch.arange(5)))
    assert isinstance(read, torch.Tensor)
    assert all(np.array_equal(read[number].numpy(), chip(number)) for number in range(4))
    assert read[4].abs().sum() == 0
    assert view.spec.channels == ("B02", "B03", "B04", "B08")
    entity = pd.read_parquet(dataset.path / "text.parquet")["entity_id"].tolist()
    assert entity == ["e0", "e1", "e0", "e3"]
    assert not np.isfinite(dataset.lonlat).any()


def test_the_same_again_is_reused_and_chips_can_come_later(tmp_path: Path) -> None:
    table, chips = founding(tmp_path)
    api.prepare("where2vec", table=table, out=tmp_path / "ds")
    dataset = api.prepare("where2vec", table=table, chips=chips, out=tmp_path / "ds")
    before = (dataset.path / "dataset.json").read_bytes()
    api.prepare("where2vec", table=table, chips=chips, out=tmp_path / "ds")
    assert (dataset.path / "dataset.json").read_bytes() == before
    table.write_text(table.read_text().replace("Bois", "Forêt"))
    with pytest.raises(DatasetError, match="another --out"):
        api.prepare("where2vec", table=table, out=tmp_path / "ds")


def test_out_and_in_again(tmp_path: Path) -> None:
    """Pixels, types and places come back; each text is one of the place's names in a sentence."""
    dataset = small.write(tmp_path / "ds")
    out = tmp_path / "founding" / "multimodal_dataset.csv"
    (tmp_path / "own.toml").write_text('[[template]]\ntexts = ["<{name}>"]\n')
    count = api.export(dataset, csv=out, templates=tmp_path / "own.toml")
    rows = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert count == len(rows) == small.PLACES - 2  # one without a text, one without a chip
    assert list(rows.columns[:5]) == HEAD.strip().split(",")
    kinds = dict(zip(rows.obs_id, rows.entity_type, strict=True))
    assert kinds["p00"] == "water/lake"
    assert kinds[f"p{small.NO_TYPE}"] == ""
    names = {
        f"p{row:02d}": {f"<{said}>" for _, kind, said in small.texts_of(row) if kind == "name"}
        for row in range(90)
    }
    assert all(text in names[place] for place, text in zip(rows.obs_id, rows.text, strict=True))
    again = api.prepare("where2vec", table=out, chips=out.parent, out=tmp_path / "again")
    at = [dataset.place_ids.tolist().index(one) for one in again.place_ids]
    assert np.allclose(again.lonlat, dataset.lonlat[at])
    both = (
        dataset.view("satellite").read(Look(torch.tensor(at))),
        again.view("satellite").read(Look(torch.arange(count))),
    )
    assert torch.equal(*both)  # type: ignore[arg-type]
    first = out.read_bytes()
    api.export(dataset, csv=out, templates=tmp_path / "own.toml")
    assert out.read_bytes() == first
    api.export(dataset, csv=out, templates=tmp_path / "own.toml", seed=1)
    assert out.read_bytes() != first
    with np.load(out.parent / "s2_chips" / "000001.npz") as held:
        assert (held["chip"].shape, held["chip"].dtype) == ((4, small.SIDE, small.SIDE), np.uint16)


def test_languages_of_what_is_written(tmp_path: Path) -> None:
    dataset = small.write(tmp_path / "ds")
    api.export(dataset, csv=tmp_path / "out.csv", languages=("fi",))
    assert set(pd.read_csv(tmp_path / "out.csv")["text"].str.split().str[1]) == {"järvi", "metsä", "pelto"}


def test_hostile_rows(tmp_path: Path) -> None:
    """Paths that lead out are looked up by name only; formulas, markup and control characters are text."""
    (tmp_path / "secret.npz").write_bytes(b"PK")
    chips = tmp_path / "chips"
    chips.mkdir()
    np.savez(chips / "a.npz", chip=chip(0))
    np.savez(chips / "object.npz", chip=np.array([{}], object))
    rows = [
        'o0,e,water,../secret.npz,"=HYPERLINK(""x"")"', "o1,e,water,/etc/passwd,<script>",
        "o2,e,water,../../chips/a.npz,'=1+1",
        'o3,e,water,object.npz,"a\u0007b\u202ec"', "o4,e,water,,x", 'o4,e,water,,"second text"',
    ]  # fmt: skip
    (tmp_path / "t.csv").write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
    dataset = api.prepare("where2vec", table=tmp_path / "t.csv", chips=chips, out=tmp_path / "ds")
    assert texts_of(dataset) == ['=HYPERLINK("x")', "<script>", "=1+1", "a b\u202ec", "x"]
    read = dataset.view("satellite").read(Look(torch.arange(5)))
    assert isinstance(read, torch.Tensor)
    assert [int(one.abs().sum() > 0) for one in read] == [0, 0, 1, 0, 0]
    assert dataset.manifest["report"]["described chips"] == {"broken": 1, "missing": 4 - 1}


def test_coordinates_as_people_write_them(tmp_path: Path) -> None:
    """Degrees, minutes and seconds, letters, decimal commas, 0 to 360; what is none of them is counted and named."""
    cells = [
        ("24\u00b056'24\"E", "60\u00b010'12\"N"), ("24,94E", "60,17"), ("335.1", "60"), ("", ""), ("NA", "?"),
        ("east", "60"), ("24.94", "95"), *[("24.94", "60.17")] * 24,
    ]  # fmt: skip
    rows = [f"o{row}\te\twater\t\tx\t{lon}\t{lat}\n" for row, (lon, lat) in enumerate(cells)]
    head = HEAD.strip().replace(",", "\t")
    (tmp_path / "t.tsv").write_text(f"{head}\tlongitude\tlatitude\n" + "".join(rows) + rows[2])
    found = read_described(tmp_path / "t.tsv")
    expected = [[24.94, 60.17], [24.94, 60.17], [-24.9, 60.0], *[[np.nan] * 2] * 4, *[[24.94, 60.17]] * 24]
    np.testing.assert_allclose(found.lonlat, expected, rtol=0, atol=1e-9)
    assert found.notes == [
        "2 of 32 rows: coordinates that are not degrees (first: row 6, longitude 'east', latitude '60'; write decimal "
        "degrees such as 24.94, or leave the cell empty)"
    ]
    (tmp_path / "t.tsv").write_text(f"{head}\tlon\tlat\n" + "".join(rows[4:24]).replace("60.17", "91", 3))
    with pytest.raises(
        SourceError, match=r"t\.tsv: 5 of 20 rows have coordinates that are not degrees.*row 2, lon"
    ):
        read_described(tmp_path / "t.tsv")
    (tmp_path / "t.tsv").write_text(f"{head}\tlon\tlat\no\te\twater\t\tx\t60N\t24E\n")
    with pytest.raises(SourceError, match="'60N' is a latitude"):
        read_described(tmp_path / "t.tsv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("obs_id,text\na,b\n", "lacks the column 'entity_id'"), (HEAD, "holds no row"), ("", "is empty"),
        (HEAD + ",e,water,a.npz,b\n" * 5, "no obs_id"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(SourceError, match=words):
        api.prepare("where2vec", table=tmp_path / "t.csv", out=tmp_path / "ds")


def test_folders_and_options_that_cannot_be_used(tmp_path: Path) -> None:
    table, _ = founding(tmp_path)
    (tmp_path / "none").mkdir()
    (tmp_path / "other").mkdir()
    np.savez(tmp_path / "other" / "x.npz", chip=chip(0))
    for folder, words in (("nowhere", "no folder"), ("none", "no chip"), ("other", "none of the 5 chips")):
        with pytest.raises(SourceError, match=words):
            api.prepare("where2vec", table=table, chips=tmp_path / folder, out=tmp_path / f"{folder}.ds")
    with pytest.raises(UsageError, match="add --table"):
        api.prepare("where2vec", chips=tmp_path, out=tmp_path / "x")
    with pytest.raises(UsageError, match="--osm-name does not apply"):
        api.prepare("where2vec", table=table, osm_name="helsinki-center", out=tmp_path / "x")
    dataset = api.prepare("where2vec", table=table, out=tmp_path / "plain")
    with pytest.raises(UsageError, match="give one of"):
        api.export(dataset)
    with pytest.raises(UsageError, match="add --csv FILE"):
        api.export(dataset, tile_folder=tmp_path / "t", templates="default")


def test_founding_sentences_are_those_of_the_founding_table() -> None:
    """The example of the original's figure: "a water body called Étang de Villeparisis (also known as ...)"."""
    (first, *_) = Templates.of("founding").fitting("water", "fr") or Templates.of("founding").fitting(
        "water", None
    )
    said = first.filled({"name": "Étang de Villeparisis", "aliases": "Lac, Mare"})
    assert said == "a water body called Étang de Villeparisis (also known as Lac, Mare)"


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from placevec import cli

    small.write(tmp_path / "ds")
    command = [
        "export",
        str(tmp_path / "ds"),
        "--csv",
        str(tmp_path / "out.csv"),
        "--templates",
        "default",
        "--json",
    ]
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(tmp_path / "out.csv"), "rows": 88}
    assert cli.main(command[:-1]) == 0
    told = capsys.readouterr()
    assert f"88 rows: {tmp_path / 'out.csv'}" in told.out
    assert "2 of 90 places have no text or no chip and are left out" in told.err
