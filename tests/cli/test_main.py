"""One clear line, whatever the streams, the paths and the libraries are like."""

from __future__ import annotations

import importlib
import io
import logging
import sys
import warnings
from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.io.folders import found_path, shared_path

cli = importlib.import_module("placevec.cli.main")  # the package holds a function of that name


def test_an_ascii_terminal_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's default for what an encoding lacks is an exception."""
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    assert cli.main(["validate", "Nöhren"]) == 1
    assert b"N\\xf6hren does not exist" in held.getvalue()


@pytest.mark.parametrize("closed", [("stdout",), ("stdout", "stderr")])
def test_closed_streams(monkeypatch: pytest.MonkeyPatch, closed: tuple[str, ...]) -> None:
    """Python leaves None in their place."""
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    assert cli.main(["validate", "none"]) == 1
    assert cli.main(["no-such-command"]) == 2
    for name in closed:
        getattr(sys, name).close()


def test_lines_of_libraries_stay_away(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """tifffile and rasterio log errors, numpy and shapely warn; they show with PLACEVEC_DEBUG, and afterwards."""

    def noisy(words: list[str]) -> int:
        for name in ("tifffile", "rasterio._env"):
            logging.getLogger(name).error("corrupt strip")
        warnings.warn("invalid value encountered", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(cli, "_run", noisy)
    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    assert cli.main([]) == 0
    assert capfd.readouterr().err == ""
    assert logging.lastResort is not None
    assert logging.lastResort.level == logging.WARNING
    monkeypatch.setenv(cli.DEBUG, "1")
    with pytest.warns(RuntimeWarning):
        cli.main([])
    assert "corrupt strip" in capfd.readouterr().err


def test_paths_that_are_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Linux allows any bytes; Arrow, GDAL and JSON need UTF-8."""
    name = b"d\xff".decode("utf-8", "surrogateescape")
    with pytest.raises(SourceError, match="not valid UTF-8"):
        check_regular(tmp_path / name)

    def written(words: list[str]) -> int:
        return len(words[0].encode())

    monkeypatch.setattr(cli, "_run", written)
    assert cli.main([name]) == 1
    assert "a path is not valid UTF-8" in capsys.readouterr().err


def test_shared_paths_name_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    inside, outside = tmp_path / "ada" / "maps" / "malta", tmp_path / "adam"
    assert shared_path(inside) == "~/maps/malta"
    assert found_path("~/maps/malta") == inside
    assert shared_path(outside) == str(outside)
    assert found_path(str(outside)) == outside
    monkeypatch.setenv("HOME", "/")
    assert shared_path(inside) == str(inside)
