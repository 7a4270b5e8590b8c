"""``placevec doctor``: what this machine supports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from placevec.cli.output import clean, print_json, print_table, say
from placevec.cli.sbom import write_bill
from placevec.cli.signature import taking
from placevec.errors import PlacevecError
from placevec.recipes import RECIPES

HELP = ""


@taking()
def command(*, network: bool = False, sbom: Path | None = None, as_json: bool = False) -> int:
    """Print every fact, and end with exit code 1 if something needed is missing or unsafe.

    Args:
        sbom: File for a software bill of materials (SBOM) of this installation, CycloneDX 1.6 as JSON; nothing else is
            reported.
        network: Also check whether pypi.org and huggingface.co respond; without this option, nothing is sent.
    """
    if sbom is not None:
        count = write_bill(sbom)
        print_json({"out": str(sbom), "packages": count}) if as_json else say(f"{count:,} packages: {sbom}")
        return 0
    facts = examine(network=network)
    if as_json:
        print_json(facts)
    else:
        rows = []
        for name, value in facts.items():
            if name in ("plug_ins", "extras"):
                continue
            items = value.items() if isinstance(value, dict) else [("", value)]
            rows += [[name, key, "missing" if item is None else str(item)] for key, item in items]
        print_table(["", "", ""], rows)
        for line in facts["plug_ins"]:
            say(f"Note: {clean(line, width=500)}")
        _print_extras(facts["extras"])
    return 1 if facts["problems"] else 0


def _print_extras(extras: list[dict[str, Any]]) -> None:
    """One line per use of each extra."""
    rows = [
        [
            one["extra"], one["purpose"],
            ", ".join(f"{name} {version or '-'}" for name, version in one["packages"].items()),
            "works" if one["works"] else one["problem"],
        ]
        for one in extras
    ]  # fmt: skip
    print_table(["extra", "for", "packages", ""], rows)


def _core() -> list[str]:
    """The packages that placevec requires, according to its own metadata."""
    lines = importlib.metadata.requires("placevec") or []
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line]


def examine(*, network: bool = False) -> dict[str, Any]:
    """Every fact by topic.

    ``problems`` lists what keeps placevec from working here, ``plug_ins`` what is wrong with those of other packages.
    """
    from placevec.api.extras import try_extras, version_of

    packages = {name: version_of(name) for name in _core()}
    problems = [f"{name} is not installed" for name, version in packages.items() if version is None]
    extras = try_extras()
    problems += [f"{one.use.purpose}: {one.problem}" for one in extras if one.broken]
    facts: dict[str, Any] = {
        "placevec": version_of("placevec"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}"
        + (" (untested)" if platform.system() == "Windows" else ""),
        "processors": os.cpu_count(),
        "memory": f"{_memory_gb():.0f} GB" if _memory_gb() else None,
        "disk_free": f"{shutil.disk_usage('.').free / 1e9:.0f} GB",
        "packages": packages,
        "extras": [one.as_dict() for one in extras],
    }
    if packages["torch"] is not None:
        facts["torch"], facts["precision_auto"] = _torch()
    if importlib.util.find_spec("torchvision") is not None:
        facts["note"] = (
            "torchvision is installed; placevec does not use it, and a broken installation interferes with other "
            "packages"
        )
    if network:
        facts["network"] = _network()
    data = os.environ.get("PLACEVEC_DATA")
    facts["shared_data"] = data if data and os.path.isdir(data) else None
    facts["plug_ins"] = RECIPES.problems()
    facts["problems"] = problems
    return facts


REACHED = ("https://pypi.org/simple/pip/", "https://huggingface.co/")
"""Where pip, and weights by a name of the hub, come from."""


def _network() -> dict[str, str]:
    """Whether the hosts answer that some commands use: one small request each.

    What is installed works without them, so that no answer is a fact and not a problem.
    """
    import httpx

    found = {}
    for address in REACHED:
        try:
            reply = httpx.head(address, timeout=3.0)
            found[httpx.URL(address).host] = f"answers ({reply.status_code})"
        except (httpx.HTTPError, OSError) as error:
            found[httpx.URL(address).host] = f"does not answer: {type(error).__name__}"
    return found


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return 0.0


def _torch() -> tuple[dict[str, Any], dict[str, str]]:
    """The devices of torch, and what ``--precision auto`` selects for each encoder."""
    import torch

    from placevec import encoders
    from placevec.training.precision import chosen, hardware_bf16

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    where = torch.device(device)
    facts = {
        "device": torch.cuda.get_device_name(0) if device == "cuda" else device,
        "threads": torch.get_num_threads(),
        "bf16_in_hardware": hardware_bf16(where),
    }
    precision = {}
    for name in encoders.names():
        try:
            precision[name] = chosen("auto", where, [encoders.class_of(name)])
        except PlacevecError as error:  # from another package
            precision[name] = str(error)
    return facts, precision
