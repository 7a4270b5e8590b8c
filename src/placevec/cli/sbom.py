"""A software bill of materials of this installation: placevec and every package that it stands on, as CycloneDX 1.6.

Versions, licenses and requirements are those that the installed packages state (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import importlib.metadata
import re
import uuid
from pathlib import Path
from typing import Any

from placevec.io import atomic

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's for addresses
_SPDX = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def bill(root: str = "placevec") -> dict[str, Any]:
    """The document: what is installed of everything that a package requires, its own extras included.

    >>> found = bill()
    >>> found["bomFormat"], found["specVersion"], found["metadata"]["component"]["name"]
    ('CycloneDX', '1.6', 'placevec')
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    requires: dict[str, list[str]] = {}
    waiting = [_plain(root)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        lines = [
            line for line in found[name].requires or [] if name == _plain(root) or "extra ==" not in line
        ]
        named = {_plain(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}
        requires[name] = sorted(named - {name})
        waiting += requires[name]
    parts = {name: _component(name, one) for name, one in sorted(found.items())}
    first = parts.pop(_plain(root), {"type": "library", "name": root, "bom-ref": root})
    first["type"] = "application"
    graph = [
        {
            "ref": _ref(name, found[name]),
            "dependsOn": [_ref(one, found[one]) for one in requires[name] if one in found],
        }
        for name in sorted(found)
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, atomic.sha256_of_json(graph))}", "version": 1,
        "metadata": {"component": first}, "components": list(parts.values()), "dependencies": graph,
    }  # fmt: skip


def write_bill(path: Path) -> int:
    """Write `bill` atomically; returns the number of packages beside placevec."""
    atomic.check_writable(path)
    found = bill()
    atomic.write_json(path, found)
    return len(found["components"])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ref(name: str, one: importlib.metadata.Distribution) -> str:
    return f"pkg:pypi/{name}@{one.version}"


def _component(name: str, one: importlib.metadata.Distribution) -> dict[str, Any]:
    license = _license(one)
    return {
        "type": "library", "bom-ref": _ref(name, one), "name": name, "version": one.version, "purl": _ref(name, one),
        **({"licenses": [license]} if license else {}),
    }  # fmt: skip


def _license(one: importlib.metadata.Distribution) -> dict[str, Any] | None:
    """As the package states it: an SPDX expression, else a name."""
    about: Any = one.metadata
    expression = str(about.get("License-Expression") or "").strip()
    if expression:
        return (
            {"expression": expression}
            if _SPDX.fullmatch(expression)
            else {"license": {"name": expression[:200]}}
        )
    classified = [
        line.split(" :: ")[-1] for line in about.get_all("Classifier") or () if line.startswith("License ::")
    ]
    named = "; ".join(classified) or str(about.get("License") or "").strip().split("\n")[0]
    return {"license": {"name": named[:200]}} if named else None
