"""Sentences around names. Oracles: all sentences that there can be, written out by hand; the draws of another process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.sentences.templated import TemplatedTexts, script_of
from placevec.datasets.sentences.templates import Templates
from placevec.errors import InputError, UsageError
from placevec.io.byte_texts import decoded
from placevec.recipes.where2vec.config import Where2VecConfig
from placevec.training.samplers.described import WORDS, Choices, DescribedSampler, Disturbed
from tests.recipes.where2vec import small

OWN = """
[[template]]
language = "en"
types = ["water"]
texts = ["a {type} called {name}", "{name} alias {aliases}", "{name}: {description}"]
[[template]]
language = "fi"
texts = ["{type} {name}"]
[words.fi]
"water/lake" = "järvi"
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small.write(tmp_path_factory.mktemp("small") / "ds")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.toml").write_text(OWN)
    return tmp_path / "own.toml"


def view_of(dataset: Dataset, templates: str | Path, languages: tuple[str, ...] = ()) -> TemplatedTexts:
    return TemplatedTexts(dataset.view("text"), dataset, Templates.of(templates), languages)


def said(view: TemplatedTexts, row: int, which: int) -> set[str]:
    return {view.said(row, which, number) for number in range(1, 200)}


def test_every_sentence_that_fits_is_drawn_and_no_other(dataset: Dataset, own: Path) -> None:
    """Place 0 is a lake with an English and a Finnish name; nobody describes it; place 1 is a forest."""
    view = view_of(dataset, own)
    assert said(view, 0, 0) == {"a lake called aa lake", "aa lake alias aa järvi"}
    assert said(view, 0, 1) == {"järvi aa järvi"}
    assert said(view, 0, 2) == {"lake"}  # words are no name
    assert said(view, 1, 0) == {"ab forest"}  # no English sentence fits its type
    assert said(view, 1, 1) == {"ab metsä"}  # nothing says what a forest is in Finnish
    assert said(view, small.NO_TEXT, 0) == {""}
    assert view.said(-2, 0, 5) == ""


def test_only_the_languages_that_are_wanted(dataset: Dataset, own: Path) -> None:
    assert said(view_of(dataset, own, ("en",)), 0, 0) == {"a lake called aa lake"}  # the alias is Finnish


def test_a_draw_without_a_sentence_is_the_text_itself(dataset: Dataset, own: Path) -> None:
    view, rows = view_of(dataset, own), torch.arange(90)
    plain = decoded(dataset.view("text").read(Look(rows, None, {"text": rows})))
    zero = {"text": rows, "template": torch.zeros(90, dtype=torch.int64)}
    assert decoded(view.read(Look(rows, None, zero))) == plain
    assert decoded(view.read(Look(rows, None, {"text": rows}))) == plain


def write_names(dataset: Dataset, folder: Path, names: list[tuple[str | None, str, str]]) -> Dataset:
    """A copy of the dataset whose first place has other names."""
    import shutil

    out = Path(shutil.copytree(dataset.path, folder / "ds"))
    rows = [("p00", "text", language, kind, text, "way/0") for language, kind, text in names]
    columns = dict(
        zip(
            ("place_id", "view", "language", "kind", "text", "entity_id"),
            zip(*rows, strict=True),
            strict=True,
        )
    )
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), out / "text.parquet")
    return Dataset.open(out)


def test_no_script_drowns_the_others(dataset: Dataset, tmp_path: Path) -> None:
    """Fifty Latin aliases, one Arabic, one Chinese: three aliases are one of each; the first is any."""
    names = [("en", "name", "Lake")]
    names += [(None, "alias", f"Lac {chr(97 + number // 26)}{chr(97 + number % 26)}") for number in range(50)]
    names += [("ar", "name", "بحيرة"), ("zh", "name", "湖")]
    (tmp_path / "t.toml").write_text('[[template]]\ntexts = ["{name}|{aliases}"]\n')
    view = view_of(write_names(dataset, tmp_path, names), tmp_path / "t.toml")
    drawn = [view.said(0, 0, number).partition("|")[2].split(", ") for number in range(1, 600)]
    assert {len(one) for one in drawn} == {1, 2, 3, 4, 5}
    assert all(
        {script_of(name) for name in one} == {"LATIN", "ARABIC", "CJK"} for one in drawn if len(one) >= 3
    )
    assert all(len(set(one)) == len(one) for one in drawn)
    first = [script_of(one[0]) for one in drawn]
    assert 150 < first.count("LATIN") < 250


def test_names_that_look_like_templates_stay(dataset: Dataset, own: Path, tmp_path: Path) -> None:
    """Names are hostile text: braces, formats, markup and right-to-left scripts are no part of the sentence."""
    odd = "{type!r:>9} <b>%s</b> \u202eמגדל {0.__class__}"
    view = view_of(
        write_names(dataset, tmp_path, [("en", "name", odd), ("en", "description", "{name}")]), own
    )
    assert said(view, 0, 0) == {f"a lake called {odd}", f"{odd}: {{name}}"}


def test_names_on_the_spot_fit_every_language(dataset: Dataset, own: Path, tmp_path: Path) -> None:
    view = view_of(write_names(dataset, tmp_path, [(None, "name", "Aa")]), own)
    assert said(view, 0, 0) == {"a lake called Aa", "järvi Aa"}


def sampler(templates: float, *, resample: bool = True, held: bool = False) -> DescribedSampler:
    choices = Choices(np.arange(0, 64 * 3 + 1, 3), np.tile(np.arange(3), 64))
    return DescribedSampler(
        range(64), np.zeros(64, int), batch_size=32, seed=3, choices=choices, templates=templates, resample=resample,
        disturbed=None if held else Disturbed(turn=True),
    )  # fmt: skip


def test_draws_follow_from_seed_and_step() -> None:
    """The same again, other ones in other steps, slices of ranks join, and what is drawn beside stays as it was."""
    one, other, without = sampler(0.5), sampler(0.5), sampler(0.0)
    draws = [one.draw(step).looks for step in range(4)]
    for step, looks in enumerate(draws):
        again = other.draw(step).looks[WORDS].warp["template"]
        assert torch.equal(looks[WORDS].warp["template"], again)
        halves = [other.draw(step, rank, 2).looks[WORDS].warp["template"] for rank in (0, 1)]
        assert torch.equal(torch.cat(halves), again)
        plain = without.draw(step).looks
        assert "template" not in plain[WORDS].warp
        assert torch.equal(plain[WORDS].warp["text"], looks[WORDS].warp["text"])
        assert torch.equal(plain["image"].warp["turn"], looks["image"].warp["turn"])
    numbers = torch.cat([looks[WORDS].warp["template"] for looks in draws])
    assert 0.3 < float((numbers > 0).double().mean()) < 0.7
    assert len(set(numbers[numbers > 0].tolist())) == int((numbers > 0).sum())


@pytest.mark.parametrize("options", [{"resample": False}, {"held": True}])
def test_a_frozen_text_keeps_its_sentence(options: dict[str, bool]) -> None:
    """As in the founding system, whose texts were written once; and so that validation is the same each time."""
    drawn: dict[int, set[int]] = {}
    for step in range(8):
        look = sampler(0.5, **options).draw(step).looks[WORDS]
        for row, number in zip(look.rows.tolist(), look.warp["template"].tolist(), strict=True):
            drawn.setdefault(row, set()).add(number)
    assert len(drawn) == 64
    assert {len(numbers) for numbers in drawn.values()} == {1}
    assert 16 < sum(numbers != {0} for numbers in drawn.values()) < 48


def test_the_shipped_sentences_are_whole() -> None:
    """Every language of the issue has sentences and words of its own; the founding sentences are as published."""
    default = Templates.of("default")
    assert {"en", "fr", "de", "uk", "fi", "it", "pt", "es"} <= set(default.languages)
    for language in ("fr", "de", "uk", "fi", "it", "pt", "es"):
        assert all(default.word(kind, language) for kind in ("water/lake", "landuse/forest", "road/primary"))
    founding = [one.text for one in Templates.of("founding").fitting("water", "fr")] or [
        one.text for one in Templates.of("founding").fitting("water", None)
    ]
    assert founding[0] == "a water body called {name} (also known as {aliases})"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "list of"), ("template = 5", "list of"), ("[[template]]\ntexts = []", "template 1"),
        ('[[template]]\ntexts = ["no name"]', "must have {name}"), ('[[template]]\ntexts = ["{name} {who}"]', "must "
        "have {name}"),
        ('[[template]]\ntexts = ["{name.__class__}"]', "must have {name}"),
        ('[[template]]\ntexts = ["{name:>99999999}"]', "must have {name}"),
        ('[[template]]\ntexts = ["{name!r}"]', "must have {name}"), ('[[template]]\ntexts = ["{name"]', "template 1"),
        ('[[template]]\ntexts = ["{name}"]\nlanguage = "Suomi"', "language must be a code"),
        ('[[template]]\ntexts = ["{name}"]\ntypes = "water"', "types must be a list"),
        ('[[template]]\ntexts = ["{name}"]\nother = 1', "its fields"),
        ('extends = "x"\n[[template]]\ntexts = ["{name}"]', "extends"),
        ('[words]\nfi = 5\n[[template]]\ntexts = ["{name}"]', "words.xx"),
        ("a = [", "not TOML"), ("[" * 100_000, "not TOML"),
        ('[[template]]\ntexts = ["{name}\\u001b"]', "at most 500"),
    ],
)  # fmt: skip
def test_wrong_files_are_named(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(content)
    with pytest.raises(InputError, match=rf"own\.toml.*{words}"):
        Templates.of(tmp_path / "own.toml")


def test_options_belong_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        Templates.of(tmp_path / "nowhere.toml")
    with pytest.raises(UsageError, match="add --templates"):
        Where2VecConfig(template_rate=0.5)
    assert Where2VecConfig(templates="default").rate == 0.5
    assert Where2VecConfig(templates="default", template_rate=0.0).rate == 0.0


def test_training_reads_sentences(dataset: Dataset, own: Path, tmp_path: Path) -> None:
    """What the recipe's slot reads is what the view says for the draw; languages of training limit the sentences too."""
    from placevec.recipes.where2vec.build import build
    from tests.encoders import tiny_text_model

    options = {
        "templates": str(own),
        "template_rate": 1.0,
        "types": "leaf",
        "batch_size": 16,
        "languages": ("en",),
    }
    config = Where2VecConfig(
        text_model=str(tiny_text_model.write(tmp_path / "base")), kinds=("name",), **options
    )  # type: ignore[arg-type]
    built = build(dataset, config, {"seed": 5})
    look = built.recipe.sampler.draw(3).looks[WORDS]
    texts = decoded(built.views["text"].read(look))  # type: ignore[arg-type]
    for row, text in zip(look.rows.tolist(), texts, strict=True):
        name = small.texts_of(row)[0][2]
        assert text == (f"a lake called {name}" if small.KINDS[row] == 0 and row != small.NO_TYPE else name)
