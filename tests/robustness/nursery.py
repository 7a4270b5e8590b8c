"""A process that has loaded everything once and forks a child for every command line that it is sent.

Starting Python and torch takes seconds; a child that is forked starts at once, so that a test can afford dozens of
commands and a kill lands in the work itself. One JSON request a line on standard input, one answer a line or two.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cheaper import few_projected, try_little, without_flushing
from tests.robustness import aimed, namespace

PRELOADED = (
    "torch", "torch._dynamo", "accelerate", "torch.utils.tensorboard", "safetensors.torch", "PIL.ImageOps", "pandas",
    "pyarrow.parquet", "geopandas", "osmium", "pyrosm", "cv2", "rasterio", "tifffile", "scipy.spatial",
    "sklearn.linear_model", "sklearn.ensemble", "sklearn.manifold", "rich.progress", "rich.table", "httpx",
    "placevec.cli.app", "placevec.api", "placevec.training.loop", "placevec.models.model",
    "placevec.recipes.loc2vec.build", "placevec.preparation.map", "placevec.preparation.rasterize.shard_job",
    "placevec.datasets.views.raster.raster",
    "placevec.embeddings.search.query", "placevec.explorer.pages.page", "placevec.evaluation.vectors",
)  # fmt: skip


def _answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _prepare_child(request: dict[str, Any]) -> None:
    """Give a forked child a process group, files for its output, its folder and its limits."""
    os.setpgid(0, 0)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        descriptor = os.open(path, flags, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    if request["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
    if request["packages"]:
        sys.path.insert(0, request["packages"])
    if request["embed_part"] is not None:
        from placevec.inference import embed as parts

        parts.EMBED_PART = request["embed_part"]


def _run(request: dict[str, Any]) -> int | None:
    """The exit code of a command, in a child."""
    from placevec.cli import main

    if request["counts"] is None:
        return main(request["arguments"])
    aim = request["aim"]
    counts = aimed.watch(None if aim is None else tuple(aim))
    code = main(request["arguments"])
    Path(request["counts"]).write_text(json.dumps(counts))
    return code


def _serve() -> int | None:
    """Answer requests until there are no more; in a child, the exit code of its command."""
    for line in sys.stdin:
        request = json.loads(line)
        if "call" in request:
            try:
                getattr(namespace, request["call"])(*request["with"])
                _answer({"problem": ""})
            except OSError as error:
                _answer({"problem": str(error)})
            continue
        pid = os.fork()
        if pid == 0:
            _prepare_child(request)
            return _run(request)
        with contextlib.suppress(OSError):  # the child does it too, whoever comes first
            os.setpgid(pid, pid)
        _answer({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _answer({"code": os.waitstatus_to_exitcode(status)})
    return None


if __name__ == "__main__":
    trouble = namespace.enter()
    for name in PRELOADED:
        importlib.import_module(name)
    without_flushing()
    few_projected()
    try_little(pytest.MonkeyPatch())
    _answer({"ready": True, "no_mounts": trouble})
    gc.collect()
    gc.freeze()  # what is loaded is never looked at again: children share its memory
    ended = _serve()
    threading._shutdown()  # as Python does at its end; the rest of that takes a second with so much loaded
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended or 0)
