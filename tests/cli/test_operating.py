"""What operators need: logs as JSON lines, and a bill of materials. Oracles: json, and importlib.metadata."""

from __future__ import annotations

import importlib.metadata
import io
import json
from pathlib import Path

import pytest

from placevec.cli import main
from placevec.cli.sbom import bill
from placevec.io.progress import JsonLines


def test_progress_notes_and_errors_as_json_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = JsonLines(file := io.StringIO(), every_s=0.0)
    with lines.task("Embedding", total=3) as advance:
        advance(2, note="loss 1")
    lines.say("Note: two\nlines\x1b[31m")
    found = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [one["event"] for one in found] == ["start", "progress", "end", "note"]
    assert (found[1]["done"], found[1]["total"], found[1]["note"]) == (2, 3, "loss 1")
    assert found[3]["message"] == "Note: two?lines?[31m"
    assert all(one["time"].endswith("+00:00") and one["level"] == "info" for one in found)
    monkeypatch.setenv("PLACEVEC_LOG", "json")
    assert main(["info", str(tmp_path / "nothing")]) == 1
    told = json.loads(capsys.readouterr().err)
    assert (told["event"], told["level"], told["code"]) == ("error", "error", 1)
    assert "nothing" in told["message"]


def test_a_bill_of_materials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fields that CycloneDX 1.6 requires, every reference in it resolved, and versions as installed."""
    assert main(["doctor", "--sbom", str(tmp_path / "a.json")]) == 0
    assert "packages: " in capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == bill()  # the same installation, the same document
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    parts = {one["name"]: one for one in (found["metadata"]["component"], *found["components"])}
    assert {"placevec", "torch", "numpy", "pyarrow", "filelock"} <= set(parts)
    for name in ("torch", "numpy", "filelock"):
        assert parts[name]["version"] == importlib.metadata.version(name)
        assert parts[name]["purl"] == f"pkg:pypi/{name}@{parts[name]['version']}"
    refs = {one["bom-ref"] for one in parts.values()}
    assert refs == {one["ref"] for one in found["dependencies"]}
    assert {one for entry in found["dependencies"] for one in entry["dependsOn"]} <= refs
    assert found["serialNumber"].startswith("urn:uuid:")
    assert all({"type", "name", "bom-ref"} <= set(one) for one in parts.values())
