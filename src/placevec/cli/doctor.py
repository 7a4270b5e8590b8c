"""``placevec doctor``: what this machine can do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from typing import Any

from placevec.cli.output import clean, print_json, print_table, say
from placevec.cli.signature import Json
from placevec.recipes import RECIPES

HELP = ""

CORE = (
    "torch", "accelerate", "safetensors", "numpy", "pandas", "pyarrow", "osmium", "pyrosm", "geopandas",
    "shapely", "pyproj", "opencv-python-headless", "rasterio", "tifffile", "scikit-learn", "scipy",
)  # fmt: skip
EXTRAS = {
    "text": "peft", "satellite": "odc-stac", "search": "faiss-cpu", "explore": "plotly", "serve": "fastapi",
    "cluster": "ray", "annoy": "annoy",
}  # fmt: skip


def command(*, as_json: Json = False) -> int:
    """Print every fact, and end with exit code 1 if something needed is missing or unsafe."""
    facts = examine()
    if as_json:
        print_json(facts)
    else:
        rows = []
        for name, value in facts.items():
            if name == "plug_ins":
                continue
            items = value.items() if isinstance(value, dict) else [("", value)]
            rows += [[name, key, "missing" if item is None else str(item)] for key, item in items]
        print_table(["", "", ""], rows)
        for line in facts["plug_ins"]:
            say(f"Note: {clean(line, width=500)}")
    return 1 if facts["problems"] else 0


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def examine() -> dict[str, Any]:
    """Every fact by topic.

    ``problems`` lists what keeps placevec from working here, ``plug_ins`` what is wrong with those of other packages.
    """
    packages = {name: _version(name) for name in CORE}
    problems = [f"{name} is not installed" for name, version in packages.items() if version is None]
    facts: dict[str, Any] = {
        "placevec": _version("placevec"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}"
        + (" (untested)" if platform.system() == "Windows" else ""),
        "processors": os.cpu_count(),
        "memory": f"{_memory_gb():.0f} GB" if _memory_gb() else None,
        "disk_free": f"{shutil.disk_usage('.').free / 1e9:.0f} GB",
        "packages": packages,
        "extras": {name: _version(package) for name, package in EXTRAS.items()},
    }
    if packages["torch"] is not None:
        facts["torch"] = _torch()
    if importlib.util.find_spec("torchvision") is not None:
        facts["note"] = (
            "torchvision is installed; placevec does not use it, and a broken one disturbs other packages"
        )
    data = os.environ.get("PLACEVEC_DATA")
    facts["shared_data"] = data if data and os.path.isdir(data) else None
    facts["plug_ins"] = RECIPES.problems()
    facts["problems"] = problems
    return facts


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return 0.0


def _torch() -> dict[str, Any]:
    import torch

    from placevec.training.bundle import hardware_bf16

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return {
        "device": torch.cuda.get_device_name(0) if device == "cuda" else device,
        "threads": torch.get_num_threads(),
        "bf16_in_hardware": hardware_bf16(torch.device(device)),
    }
