"""The parts of a dataset, and how a part is added to an existing dataset.

The parts are its ``places``, its ``labels`` and its views; ``provenance`` in ``dataset.json`` records, for each, the
kind of preparation, its inputs and its date. An existing part is never made again differently: the same command reuses
it, and a different option raises an error that names it.

A part that is missing is an `Addition`. Its files are written under ``.work/add-PART/``, where a
killed command continues. When all files are complete, ``ready.json`` records the new entries of the manifest; then the
files are moved to their final paths, which nothing refers to yet; finally the manifest is replaced in one rename. So
readers see either the old dataset or the new one. Its places never change.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from placevec._version import __version__
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import label_files
from placevec.datasets.layout import MANIFEST, PLACES, WORK
from placevec.datasets.views.raster import NAME as MAP
from placevec.errors import DatasetError, InputError
from placevec.io import atomic
from placevec.io.checksums import sha256_of_files, write_sealed
from placevec.io.folders import shared_path
from placevec.io.jobs import ANY, Job, Parts, plain
from placevec.io.locks import locked
from placevec.io.progress import SILENT, Progress
from placevec.options import Options, flag_of, options_of

PLACES_PART, LABELS_PART, MAP_PART = "places", "labels", MAP
MAP_LABELS_PART = "map_labels"
"""Land use and points of interest beside a map of ready tiles."""
_FLAGS = {"spacing_m": "spacing", "area.bounds": "bbox", "area.polygon": "polygon"}
"""Inputs whose option has another name."""
_HASH = re.compile(r'"[0-9a-f]{16,64}"')
_READY = "ready"


@dataclass(frozen=True)
class Made:
    """How a part of a dataset was made.

    Attributes:
        kind: kind of preparation, such as ``osm`` or ``table``.
        inputs: everything that the part depends on, as plain JSON: hashes of files, and options.

    >>> Made("table", {"sha256": "9a0d", "min_per_class": 1}).plain().inputs
    {'sha256': '9a0d', 'min_per_class': 1}
    """

    kind: str
    inputs: Mapping[str, Any]

    @classmethod
    def from_options(cls, kind: str, options: Options) -> Made:
        """The inputs given by the options of a preparation: their values, and the content of the files that they name.

        Raises:
            InputError: a file cannot be read.
        """
        values = options.as_json()
        for one in options_of(type(options)):
            if one.kind is Path and (given := values[one.name]):
                values[one.name] = (
                    [_content_of(Path(path)) for path in given] if one.many else _content_of(Path(given))
                )
        return cls(kind, values)

    def plain(self) -> Made:
        """The same after a round trip through the manifest."""
        return Made(self.kind, plain(self.inputs))


def made(dataset: Dataset, part: str) -> Made | None:
    """The provenance of a part of a dataset; None if it lacks the part."""
    manifest = dataset.manifest
    if part in (found := manifest.get("provenance", {})):
        return Made(found[part]["kind"], found[part]["inputs"])
    return _of_before(dataset, part)


def _of_before(dataset: Dataset, part: str) -> Made | None:
    """The same for a manifest without provenance, which stored all inputs together, or those of views in its report."""
    manifest, report = dataset.manifest, dataset.manifest.get("report", {})
    if part == MAP_LABELS_PART:
        told = report.get("labels", {})
        return Made("osm", told) if "extract" in told else None
    if part == LABELS_PART and not manifest.get("labels"):
        return None
    if part not in (PLACES_PART, LABELS_PART) and part not in manifest["views"]:
        return None
    shown = manifest["views"].get(part, {}).get("spec", {}).get("kind")
    if shown in (kinds := {"chips": "images", "features": "features"}):
        return Made(kinds[shown], report.get(part, {}))
    first = str(manifest["sources"][0].get("kind", "")) if manifest["sources"] else ""
    known = first if first in ("osm", "table", "tile-server") else "tiles"
    return Made("layout" if first.startswith("layout") else known, report.get("inputs", {}))


def is_made(dataset: Dataset, part: str, wanted: Made) -> bool:
    """Whether a part exists and was made from these inputs.

    Raises:
        DatasetError: it exists, made from other inputs; the message names the part and the option.
    """
    before = made(dataset, part)
    if before is None:
        return False
    if before.kind != wanted.kind:
        raise DatasetError(
            f"{dataset.path} already holds {_called(part)}, made from {_source_of(dataset, part)}: choose another "
            "--out, or --force to recreate the whole dataset"
        )
    for option, value in plain(wanted.inputs).items():
        if before.inputs.get(option) != value:
            raise DatasetError(
                f"{dataset.path} already holds {_called(part)}{_of_column(dataset, part)} made from other inputs: "
                f"{_difference(option, before.inputs.get(option), value)}. Choose another --out, or --force to "
                f"recreate the whole dataset"
            )
    return True


def _of_column(dataset: Dataset, part: str) -> str:
    """The column of its labels; a dataset has at most one."""
    labels = dataset.manifest.get("labels") if part == LABELS_PART else None
    return f" (of the column {labels['column']!r})" if labels else ""


def _difference(option: str, before: Any, now: Any) -> str:
    """How one input differs, in words; for a hash, only that the content differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        own = next(name for name in (*now, *before) if before.get(name) != now.get(name))
        return _difference(f"{option}.{own}", before.get(own), now.get(own))
    if any(_HASH.search(json.dumps(one)) for one in (before, now)):
        return f"the content of {option!r} differs (a different file, or one that has changed)"
    flag = flag_of(_FLAGS.get(option, option.rpartition(".")[2]))
    if before is None or now is None:
        return f"{flag} was {'not given' if before is None else _short(before)}, and " + (
            "is not given now" if now is None else f"is {_short(now)} now"
        )
    return f"{flag} was {_short(before)} and is {_short(now)} now"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def reused(dataset: Dataset, wanted: Mapping[str, Made], progress: Progress) -> Dataset:
    """The existing dataset, if its parts were made from these inputs; otherwise a DatasetError names the difference."""
    for part, of in wanted.items():
        if not is_made(dataset, part, of):
            raise DatasetError(
                f"{dataset.path} was prepared without {_called(part)}: choose another --out, or --force to recreate "
                f"the whole dataset"
            )
    settled(dataset, *wanted)
    progress.say(f"Reusing {dataset.path}, which was made from the same source with the same options")
    return dataset


def settled(dataset: Dataset, *parts: str) -> Dataset:
    """Remove what commands that were killed right after adding these parts left behind; returns the dataset."""
    for part in parts:
        shutil.rmtree(dataset.path / WORK / _folder(part), ignore_errors=True)
    forget_work(dataset.path)
    return dataset


def forget_work(path: Path) -> None:
    """Remove the unfinished work in a complete dataset, except unfinished additions."""
    work = path / WORK
    for found in work.iterdir() if work.is_dir() else ():
        if not found.name.startswith(_folder("")):
            shutil.rmtree(found, ignore_errors=True) if found.is_dir() else found.unlink(missing_ok=True)
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def unfinished(path: Path) -> list[str]:
    """The parts whose addition was started but not finished."""
    begun = (path / WORK).glob(f"{_folder('')}*")
    return sorted(folder.name[len(_folder("")) :] for folder in begun)


@dataclass(frozen=True)
class Joining:
    """The content of one addition to a dataset.

    Attributes:
        what: description for people, such as ``a map of 12 layers``.
        files: its files, relative to the dataset, all in `Addition.folder`.
        sources: new sources of the manifest, each with its attribution.
        views: new views of the manifest.
        more_files: existing view -> additional files.
        labels: the manifest's entry for labels, without their hash.
        names: table of names of the places, relative to the dataset.
        report: new entries of the manifest's report.
        replaces: files that replace one of the dataset's, with all of its content.
    """

    what: str
    files: Sequence[str]
    sources: Sequence[Mapping[str, Any]]
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    more_files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Mapping[str, Any] | None = None
    names: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    replaces: Sequence[str] = ()


def add(
    dataset: Dataset,
    part: str,
    of: Made,
    write: Callable[[Path], Joining],
    *,
    created: str,
    progress: Progress,
) -> Dataset:
    """Add a part to a dataset, or reuse the one that was made from the same inputs. If killed, the same command
    continues.

    Args:
        dataset: the existing dataset.
        part: name of the part.
        of: how it is made.
        write: writes its files into a folder, laid out as in the dataset's directory, and returns what to add; files
            that a killed command finished are still there.
        created: date, ISO 8601.
        progress: receives what was added.

    Raises:
        InputError, DatasetError: errors of ``write``; the unfinished part is removed.
        DatasetError: the part was made from other inputs.
        OutputError: another process is writing to the dataset.
    """
    if is_made(dataset, part, of):
        return reused(dataset, {part: of}, progress)
    with locked(dataset.path, progress=progress):
        addition = Addition(dataset, part, of, progress)
        try:
            if not addition.is_ready:
                addition.ready(write(addition.folder), created=created)
            return addition.join(progress)
        except (InputError, DatasetError):  # the same command would fail again
            addition.abandon()
            raise


class Addition:
    """An unfinished addition of a part to a dataset.

    Args:
        dataset: dataset to extend.
        part: name of the part.
        of: how it is made. Unfinished files made from other inputs are removed.
        progress: receives reports of damaged unfinished files.

    Attributes:
        folder: folder of its files, laid out as in the dataset's directory; files that a killed command finished are
            still there.
    """

    def __init__(self, dataset: Dataset, part: str, of: Made, progress: Progress = SILENT) -> None:
        self.path, self.part, self.of = dataset.path, part, of
        atomic.check_writable(self.path, directory=True)
        atomic.remove_temporaries(self.path)
        self._work = self.path / WORK / _folder(part)
        self.folder = self._work / "files"
        inputs = {"kind": of.kind, "inputs": of.inputs}
        self._job = Job(self._work, inputs, afresh=self._take_back, progress=progress)
        self._transition = self._job.get_json(_READY)
        if self._transition is not None and not self._is_whole():
            progress.say(f"Note: unfinished files of {_called(part)} are damaged and will be recreated")
            self._take_back()
            self._transition = None
        self.folder.mkdir(exist_ok=True)

    @property
    def is_ready(self) -> bool:
        """Whether all its files are complete, so that only `join` remains."""
        return self._transition is not None

    def ready(self, joining: Joining, *, created: str) -> None:
        """Record that all files are complete, and the new entries of the manifest."""
        found = sha256_of_files(self.folder, joining.files)
        labels = None if joining.labels is None else dict(joining.labels)
        if labels is not None:
            labels["sha256"] = found[labels["file"]]
        names = None
        if joining.names is not None:
            names = {"file": joining.names, "sha256": found[joining.names]}
        transition = {
            "created": created, "kind": self.of.kind, "what": joining.what, "files": list(joining.files),
            "sources": list(joining.sources), "views": dict(joining.views),
            "more_files": {name: list(files) for name, files in joining.more_files.items()}, "labels": labels,
            "names": names, "report": dict(joining.report), "replaces": list(joining.replaces),
            "sha256": found,
        }  # fmt: skip
        self._job.put_json(_READY, transition)
        self._transition = plain(transition)

    def join(self, progress: Progress) -> Dataset:
        """Move the files to their final paths, then replace the manifest, which makes the part visible.

        Raises:
            DatasetError: another command has added the part meanwhile.
        """
        transition = self._transition
        assert transition is not None
        dataset = Dataset.open(self.path)  # as it is now, not as it was when this began
        if made(dataset, self.part) is not None:
            raise DatasetError(
                f"{self.path} already holds {_called(self.part)}, added in the meantime by another command"
            )
        taken = _files_of(dataset).intersection(transition["files"]).difference(transition["replaces"])
        if taken:
            raise DatasetError(
                f"{self.path} already holds {min(taken)}, which {_called(self.part)} would overwrite"
            )
        manifest = self._manifest(dataset, transition)
        atomic.move_files(self.folder, self.path, transition["files"])
        Dataset(self.path, manifest).validate()
        write_sealed(self.path / MANIFEST, manifest)
        settled(dataset, self.part)
        progress.say(f"Added {transition['what']} to {self.path}")
        return Dataset.open(self.path)

    def _manifest(self, dataset: Dataset, new: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest with the part, and everything that it contained before."""
        old = dataset.manifest
        first = len(old["sources"])
        views = {**old["views"], **new["views"]}
        for name, files in new["more_files"].items():
            views[name] = {**views[name], "files": [*views[name]["files"], *files]}
        parts = (PLACES_PART, LABELS_PART, MAP_LABELS_PART, *old["views"])
        known = {
            part: _entry(before, [], old.get("created", ""))
            for part in (parts if "provenance" not in old else ())
            if (before := made(dataset, part)) is not None
        }
        sources = list(range(first, first + len(new["sources"])))
        entry = _entry(Made(new["kind"], self.of.inputs), sources, new["created"])
        addition = {"hash": dataset.hash, "created": new["created"], "added": [self.part]}
        return {
            **old,
            "sources": [*old["sources"], *new["sources"]],
            "views": views,
            **({} if new["labels"] is None else {"labels": new["labels"]}),
            **({} if new["names"] is None else {"names": new["names"]}),
            "provenance": {**known, **old.get("provenance", {}), self.part: entry},
            "additions": [*old.get("additions", []), addition],
            "report": {**old.get("report", {}), **new["report"]},
            **({"files": {**old["files"], **new["sha256"]}} if "files" in old else {}),
        }

    def _is_whole(self) -> bool:
        """Whether the files are as they were made, those that have taken their places already too."""
        assert self._transition is not None
        for name, found in self._transition["sha256"].items():
            staged = self.folder / name
            if _leads_out(name):
                return False
            try:
                if atomic.sha256_of_file(staged if staged.exists() else self.path / name) != found:
                    return False
            except OSError:
                return False
        return True

    def _take_back(self) -> None:
        """Remove its files, those that have taken their places already too.

        The note of what they are goes last: killed here, the next run still knows them.
        """
        left = Parts(self._work, ANY).get(_READY)
        held = _files_of(Dataset.open(self.path))
        for name in () if left is None else json.loads(left)["files"]:
            target = self.path / name
            if name not in held and not _leads_out(name):
                target.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self._work / _READY).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Remove what is there of the addition."""
        self._take_back()
        self._job.finish()
        forget_work(self.path)


def provenance(parts: Mapping[str, Made], *, sources: int, created: str) -> dict[str, Any]:
    """The entries of parts that a new dataset begins with, made of all its sources."""
    return {part: _entry(of, list(range(sources)), created) for part, of in parts.items()}


def _entry(of: Made, sources: list[int], created: str) -> dict[str, Any]:
    about = {"kind": of.kind, "created": created, "placevec_version": __version__, "sources": sources}
    return {**about, "inputs": plain(of.inputs)}


def _content_of(path: Path) -> str:
    """Hash of a file; of a directory, only its path."""
    if path.is_dir():
        return shared_path(path)
    try:
        return atomic.sha256_of_file(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _files_of(dataset: Dataset) -> set[str]:
    """All files that the manifest knows."""
    manifest = dataset.manifest
    found = {MANIFEST, PLACES, *(file for view in manifest["views"].values() for file in view["files"])}
    if manifest.get("labels"):
        found.update(label_files(manifest["labels"]))
    if manifest.get("names"):
        found.add(manifest["names"]["file"])
    return found


def _leads_out(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _folder(part: str) -> str:
    return f"add-{part}"


def _called(part: str) -> str:
    return {
        PLACES_PART: "places", LABELS_PART: "labels", MAP_LABELS_PART: "land use and points of interest",
    }.get(part, f"a view {part!r}")  # fmt: skip


def _source_of(dataset: Dataset, part: str) -> str:
    """The source of a part, by its name."""
    sources = dataset.manifest["sources"]
    numbers = dataset.manifest.get("provenance", {}).get(part, {}).get("sources", [0])
    told = [sources[number] for number in numbers if 0 <= number < len(sources)]
    names = [str(one.get("name") or one.get("path") or one.get("kind")) for one in told]
    return ", ".join(names) or "what the dataset already held"
