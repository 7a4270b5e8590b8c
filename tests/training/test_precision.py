"""What ``precision=auto`` is on each kind of machine, that a run keeps it, and that it can be found out afterwards."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from placevec import cli, encoders
from placevec.errors import ModelError
from placevec.models.model import Model
from placevec.training import TrainingOptions, TrainingResult, precision, train
from placevec.training.precision import chosen, hardware_bf16
from placevec.training.state import newest_state
from tests.training.test_resuming import Told
from tests.training.toy import toy_recipe
from tests.unsealed import unsealed

OPTIONS = TrainingOptions(epochs=3, steps_per_epoch=4, validation_steps=1, device="cpu", seed=3)


class Gains(nn.Identity):
    bf16_on_cpu = True


class Loses(nn.Identity):
    bf16_on_cpu = False


@pytest.mark.parametrize(
    ("asked", "device", "hardware", "encoders", "expected"),
    [
        ("auto", "cpu", True, [Gains()], "bf16"),
        ("auto", "cpu", True, [Gains(), Gains()], "bf16"),
        ("auto", "cpu", True, [Gains(), Loses()], "fp32"),
        ("auto", "cpu", True, [nn.Identity()], "fp32"),
        ("auto", "cpu", False, [Gains()], "fp32"),
        ("auto", "cuda", True, [Loses()], "bf16"),
        ("auto", "cuda", True, [nn.Identity()], "bf16"),
        ("auto", "cuda", False, [Gains()], "fp32"),
        ("fp32", "cpu", True, [Gains()], "fp32"),
        ("bf16", "cpu", False, [Loses()], "bf16"),
        ("fp32", "cuda", True, [Gains()], "fp32"),
    ],
)
def test_the_rule(
    monkeypatch: pytest.MonkeyPatch, asked: str, device: str, hardware: bool, encoders: list[nn.Module],
    expected: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(precision, "hardware_bf16", lambda device: hardware)
    assert chosen(asked, torch.device(device), encoders) == expected


def test_the_processor_says_what_it_has() -> None:
    """Oracle: the flags of the kernel, and the variables of oneDNN that lower the instruction set."""
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "avx512_bf16" not in flags.read_text().split():
        pytest.skip("only known to hold where the processor says that it has avx512_bf16")
    lowered = {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} & set(os.environ)
    assert hardware_bf16(torch.device("cpu")) == (not lowered)
    assert not hardware_bf16(torch.device("mps"))


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, hardware: bool, gains: bool, told: Told | None = None,
    resume: bool = False, **options: object,
) -> tuple[dict[str, torch.Tensor], TrainingResult, list[str]]:  # fmt: skip
    """Weights, result and the precision handed to ``started``, as on a machine with or without bf16."""
    monkeypatch.setattr(precision, "hardware_bf16", lambda device: hardware)
    recipe, views = toy_recipe()
    recipe.encoders["mlp"].bf16_on_cpu = gains  # type: ignore[assignment]
    known: list[str] = []
    result = train(
        recipe, views, folder, replace(OPTIONS, **options), config={}, save=lambda folder: None, resume=resume,
        started=lambda precision, _: known.append(precision), progress=told or Told(),
    )  # fmt: skip
    return {name: value.clone() for name, value in recipe.encoders["mlp"].state_dict().items()}, result, known


def recorded(folder: Path) -> str:
    state = newest_state(folder / "state")
    assert state is not None
    found: str = json.loads((state / "state.json").read_text())["counters"]["precision"]
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_auto_computes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the same run with the precision spelled out, bit by bit; both precisions do differ."""
    spelled = {
        name: trained(tmp_path / name, monkeypatch, hardware=False, gains=False, precision=name)[0]
        for name in ("fp32", "bf16")
    }
    assert not same(spelled["fp32"], spelled["bf16"])
    for number, (hardware, gains, expected) in enumerate(
        [(True, True, "bf16"), (True, False, "fp32"), (False, True, "fp32")]
    ):
        folder = tmp_path / str(number)
        weights, result, known = trained(folder, monkeypatch, hardware=hardware, gains=gains)
        assert same(weights, spelled[expected])
        assert (result.precision, known, recorded(folder)) == (expected, [expected], expected)


@pytest.mark.parametrize("began", [False, True])
def test_a_run_keeps_its_precision_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: bool
) -> None:
    """Oracle: the run that stayed where it was, bit by bit; the change is said in one line, and only then."""
    whole, _, _ = trained(
        tmp_path / "whole", monkeypatch, hardware=began, gains=True, epochs=4, schedule="constant", warmup=0.0
    )
    options = {"schedule": "constant", "warmup": 0.0}
    trained(tmp_path / "cut", monkeypatch, hardware=began, gains=True, epochs=2, **options)
    for hardware, epochs in ((began, 3), (not began, 4)):
        told = Told()
        weights, result, known = trained(
            tmp_path / "cut", monkeypatch, hardware=hardware, gains=True, epochs=epochs, resume=True,
            told=told, **options,
        )  # fmt: skip
        moved = [line for line in told.lines if "as before" in line]
        here, there = ("bf16", "fp32") if began else ("fp32", "bf16")
        assert moved == (
            []
            if hardware == began
            else [f"The run continues in {here}, as before; a new run would use {there}"]
        )
        assert (result.precision, known, recorded(tmp_path / "cut")) == (here, [here], here)
    assert same(weights, whole)


def test_a_run_says_that_it_goes_on_with_other_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They order sums differently. Said once, where it changes; a state of earlier versions says nothing."""
    from placevec.training import loop

    said = []
    for epochs, used in ((1, "cpu AVX2"), (2, "cpu AVX2"), (3, "cpu AVX512"), (4, "cpu AVX512")):
        monkeypatch.setattr(loop, "instruction_set", lambda _, used=used: used)
        told = Told()
        trained(
            tmp_path, monkeypatch, hardware=False, gains=True, epochs=epochs, resume=epochs > 1, told=told
        )
        said += [(epochs, line) for line in told.lines if "computed with" in line]
        state = newest_state(tmp_path / "state")
        assert state is not None
        assert json.loads((state / "state.json").read_text())["counters"]["instruction_set"] == used
    assert said == [
        (
            3,
            "Note: the run was computed with cpu AVX2 and continues with cpu AVX512: the result will differ from an "
            "uninterrupted run in the last bits",
        )
    ]


def test_another_precision_asked_for_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path, monkeypatch, hardware=False, gains=True)
    told = Told()
    with pytest.raises(ModelError, match="precision was 'auto', now 'bf16'"):
        trained(tmp_path, monkeypatch, hardware=True, gains=True, resume=True, precision="bf16", told=told)
    assert not any("as it began" in line for line in told.lines)


@pytest.mark.parametrize("wrong", ["fp8", 16, None])
def test_a_state_of_no_known_precision_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    trained(tmp_path, monkeypatch, hardware=False, gains=True)
    state = newest_state(tmp_path / "state")
    assert state is not None
    content = json.loads((state / "state.json").read_text())
    content["counters"]["precision"] = wrong
    (state / "state.json").write_text(json.dumps(unsealed(content)))
    with pytest.raises(ModelError, match="damaged"):
        trained(tmp_path, monkeypatch, hardware=False, gains=True, resume=True)


def test_encoders_gain_where_the_figures_say_so() -> None:
    """Oracle: the rows of BENCHMARKS.md, each with its verdict; who was not measured gains nothing."""
    figures = (Path(__file__).parents[2] / "BENCHMARKS.md").read_text("utf-8")
    verdicts: dict[str, set[str]] = {}
    for name, verdict in re.findall(
        r"^\| bf16, ([\w-]+)[^|]* \|.*\*\*(bf16|float32)\*\* \|$", figures, re.MULTILINE
    ):
        verdicts.setdefault(name, set()).add(verdict)
    assert len(verdicts) >= 5
    gains = {name for name in encoders.names() if getattr(encoders.class_of(name), "bf16_on_cpu", False)}
    assert gains == {name for name, found in verdicts.items() if found == {"bf16"}}


def test_the_model_and_doctor_say_it(helsinki_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Invariant: the default encoder computes in float32 on any processor, and its run says so."""
    if torch.cuda.is_available():
        pytest.skip("a GPU has a rule of its own")
    assert Model.load(helsinki_run).training["precision"] == recorded(helsinki_run) == "fp32"
    assert str(Model.load(helsinki_run).training["instruction_set"]).startswith("cpu ")
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["precision_auto"]["shape-tile-cnn"] == "fp32"
    expected = "bf16" if told["torch"]["bf16_in_hardware"] else "fp32"
    assert told["precision_auto"]["location"] == expected
