"""One declaration, three places: what a flag, a key of a file and a keyword say reaches a recipe as the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from placevec import api
from placevec.options import Option, options_of
from placevec.recipes import RECIPES, recipe
from tests.cli.commands import options_of as flags_of
from tests.cli.commands import run


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The keywords that `api.train` and `api.prepare` are handed, instead of a training."""
    found: dict[str, Any] = {}

    def instead(*_: Any, **given: Any) -> Any:
        found.clear()
        found.update(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "train", instead)
    monkeypatch.setattr(api, "prepare", instead)
    return found


def a_value(one: Option) -> Any:
    """Another value than the default that fits an option."""
    if one.kind is bool:
        return not one.default
    if one.choices:
        other = next(choice for choice in one.choices if choice != one.default)
        return (other,) if one.many else other
    if one.kind in (int, float):
        low = max(one.limits.get("min", 0), one.limits.get("above", 0))
        high = min(one.limits.get("max", low + 9), one.limits.get("below", low + 9))
        tried = (one.kind(low + share * (high - low)) for share in (0.4, 0.7))
        return next(value for value in tried if value != one.default)
    return ("one", "two") if one.many else "one"


def as_flags(one: Option, value: Any) -> list[str]:
    if one.kind is bool:
        return [one.flag if value else f"--no-{one.flag[2:]}"]
    if one.many and one.kind is Path:
        return [word for item in value for word in (one.flag, str(item))]
    return [one.flag, ",".join(value) if one.many else str(value)]


def as_toml(one: Option, value: Any) -> str:
    text = (
        repr(list(value)) if one.many else repr(value) if not isinstance(value, bool) else str(value).lower()
    )
    return f"{one.name} = {text}\n"


@pytest.mark.parametrize("name", RECIPES.builtin)
@pytest.mark.parametrize("verb", ["train", "prepare"])
def test_every_option_is_flag_key_and_keyword(
    verb: str, name: str, caught: dict[str, Any], tmp_path: Path
) -> None:
    """All at once, since a command takes a while to parse. Oracle: the keyword, read by the option classes themselves."""
    entry = recipe(name)
    words = [verb, name, *(["data"] if verb == "train" else []), "--out", str(tmp_path / "out")]
    file = tmp_path / "options.toml"
    options = [
        one
        for cls in (entry.train_options if verb == "train" else (entry.prepare_options,))
        for one in options_of(cls)
        if one.reader is None  # an area has tests of its own
    ]
    values = {one.name: a_value(one) for one in options}
    wanted = {one.name: one.read(values[one.name], one.flag) for one in options}
    assert len(wanted) > 12
    assert not [one.flag for one in options if wanted[one.name] == one.default]
    code, printed = run([*words, *(word for one in options for word in as_flags(one, values[one.name]))])
    assert code == 130, printed
    assert wanted == {name: caught[name] for name in wanted}
    file.write_text("".join(as_toml(one, values[one.name]) for one in options))
    code, printed = run([*words, "--config", str(file)])
    assert code == 130, printed
    assert wanted == {name: caught[name] for name in wanted}


def test_a_box_is_text_or_four_numbers(caught: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "o.toml"
    words = ["prepare", "loc2vec", "--out", str(tmp_path / "x")]
    for content in ('bbox = "1,2,3,4"', "bbox = [1, 2, 3.0, 4]"):
        file.write_text(content)
        assert run([*words, "--config", str(file)])[0] == 130
        assert caught["bbox"].bounds == (1, 2, 3, 4)
    assert run([*words, "--bbox", "-3,-2,3,4"])[0] == 130
    assert caught["bbox"].bounds == (-3, -2, 3, 4)
    for content in (
        "bbox = 5",
        'bbox = ["a", "b", "c", "d"]',
        "bbox = [1, 2, 3]",
        'bbox = "1,2"',
        "bbox = true",
    ):
        file.write_text(content)
        code, printed = run([*words, "--config", str(file)])
        assert (code, printed.count("\n")) == (2, 1), printed
        assert "west" in printed


def test_the_command_line_goes_before_the_file(caught: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text(
        'epochs = 3\npreset = "founding"\nvalidation = ["other"]\nprojector = 0\n'
    )
    words = ["train", "loc2vec", "data", "--out", "x", "--config", str(tmp_path / "o.toml"), "--epochs", "5"]
    assert run(words)[0] == 130
    expected = {"epochs": 5, "preset": "founding", "validation": [Path("other")], "projector": 0}
    assert expected.items() <= caught.items()


@pytest.mark.parametrize("name", RECIPES.builtin)
def test_help_shows_the_options_of_a_recipe_and_no_others(name: str) -> None:
    entry = recipe(name)
    for verb, classes in (("train", entry.train_options), ("prepare", (entry.prepare_options,))):
        own = {one.flag for cls in classes for one in options_of(cls)}
        code, printed = run([verb, name, "--help"])
        assert code == 0
        assert all(f"  {flag}" in printed for flag in own)
        for other in set(RECIPES.builtin) - {name}:
            foreign = flags_of(f"{verb} {other}") - flags_of(f"{verb} {name}")
            assert not any(f"  {flag} " in printed or f"  {flag}," in printed for flag in foreign)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tempo = 3", "tempo in {file}: train loc2vec has no option --tempo"),
        ("epoch = 3", "epoch in {file}: train loc2vec has no option --epoch; did you mean --epochs?"),
        ("users = true", "users in {file}: --users is an option of train sphere2vec, not of train loc2vec"),
        ("lr = 0.1", "lr in {file}: there is no option --lr: use --learning-rate"),
        ('near_m = "five"', "near_m in {file} must be a number of more than 0"),
        ("epochs = 0", "epochs in {file} must be an integer of at least 1"),
        ("rotate = 1", "rotate in {file} must be true or false"),
        ('objective = "tripet"', "objective in {file} 'tripet' is unknown: did you mean 'triplet'?"),
        (
            "[training]\nepochs = 3",
            "[training] in {file}: tables are not supported; put all options at the top",
        ),
        ('out = "x"', "out in {file}: --out can only be given on the command line"),
        ('label = "x"', "label in {file}: --label is an option of prepare sphere2vec, not of train loc2vec"),
        ("epochs = ", "cannot read the options in {file}"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name_and_key(
    content: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "options.toml"
    file.write_text(content)
    code, printed = run(["train", "loc2vec", "data", "--out", str(tmp_path / "out"), "--config", str(file)])
    assert code == (1 if "cannot read" in said or "not supported" in said else 2)
    assert said.format(file=file) in printed
    assert printed.startswith("placevec: ")
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train loc2vec d --out x --loss_type softpn", "--loss_type softpn is --objective triplet-swap"),
        ("train loc2vec d --out x --max_samples 9", "use --samples-per-epoch"),
        ("train loc2vec d --output_dir x", "use --out"),
        ("train loc2vec d --out x --lr=0.1", "use --learning-rate"),
        ("train loc2vec d --out x --pos_radius 3", "use --near-tiles"),
        ("train loc2vec d --out x --embedding_dim 64", "use --dim"),
        ("train loc2vec --prepared_data_dir d --out x", "use the dataset, without a flag"),
        ("train loc2vec d --out x --input_channels 3", "stored in the dataset"),
        ("train sphere2vec d --out x --spa_enc_type grid", "use --encoder"),
        ("prepare sphere2vec --dataset birdsnap --out x", "--layout inat2018"),
        ("explore e.parquet --max_samples 9", "use --max-places"),
        ("demo --max-tiles 9", "use --max-places"),
        ("prepare sphere2vec d --out x --lr 3", "use --learning-rate (of train)"),
        ("evaluate run --eval_split test", "validation and test, if the dataset has them"),
    ],
)
def test_founding_spellings_get_the_right_hint(words: str, said: str) -> None:
    """Oracle: the flags of the founding documents."""
    code, printed = run(words.split())
    assert (code, said in printed) == (2, True), printed
    assert "there is no option --" in printed


def test_founding_spellings_that_are_ours_are_taken(caught: dict[str, Any]) -> None:
    assert (
        run(["train", "loc2vec", "d", "--out", "x", "--batch_size", "8", "--save_every=2", "--no_rotate"])[0]
        == 130
    )
    assert {"batch_size": 8, "save_every": 2, "rotate": False}.items() <= caught.items()


def test_options_that_are_not_given_pass_where_pydantic_is_loaded(caught: dict[str, Any]) -> None:
    """cyclopts has pydantic check values again where something has imported it; None is none of their types."""
    pytest.importorskip("pydantic")
    assert run(["train", "loc2vec", "d", "--out", "x"])[0] == 130
    code, printed = run(["search", "nowhere.parquet", "--place", "p"])
    assert (code, "nowhere.parquet does not exist" in printed) == (1, True), printed
