"""Output of the command line about labeled points."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.cli.output import clean, counted, remark, say

if TYPE_CHECKING:
    from placevec.core import ViewSpec
    from placevec.datasets.dataset import Dataset

_MAX_SHOWN = 5


def label_facts(dataset: Dataset) -> dict[str, Any]:
    """The manifest's description of the labels, one line each; empty if there are none."""
    labels, report = dataset.manifest.get("labels"), dataset.manifest.get("report", {})
    if not labels:
        return {}
    told: dict[str, Any] = {"label": labels["column"]}
    about = report.get("labels", {})
    if labels["kind"] == "classes":
        largest = list(about.get("largest", {}).items())[:_MAX_SHOWN]
        many = len(labels["classes"])
        told["kind"] = f"{many:,} classes" if many > 1 else "one class"
        told["largest"] = ", ".join(f"{_quoted(name)} {count:,}" for name, count in largest)
    else:
        told["kind"] = "number"
        told["range"] = " to ".join(f"{value:g}" for value in about.get("range", []))
    split = report.get("split", {})
    sides = ", ".join(f"{name} {count:,}" for name, count in split.items() if isinstance(count, int))
    told["split"] = f"{sides} (by {split.get('by', 'unknown')})" if split else ""
    if report.get("users"):
        told["users"] = report["users"]
    predictions = labels.get("image_predictions", {})
    told["image predictions"] = ", ".join(predictions)
    return {name: value for name, value in told.items() if value not in (None, "")}


def _quoted(name: str) -> str:
    """The name of a class for a list with commas: in quotes if it contains one."""
    return f'"{name}"' if "," in name else name


def _extent(dataset: Dataset) -> str:
    """The extent of points: it reveals swapped coordinates that all lie on Earth."""
    west, south, east, north = (round(edge, 3) + 0.0 for edge in dataset.area.bounds)
    return f"longitude {west:g} to {east:g}, latitude {south:g} to {north:g}"


def _dated(dates: dict[str, Any]) -> str:
    """How many rows have a date, the first and the last, and how many name a time of day.

    >>> _dated({"count": 2, "with_time_of_day": 1, "period": [2018.5, 2020.0]})
    '2 rows, 2018-07-02 to 2020-01-01, 1 with a time of day'
    """
    told = [counted(dates["count"], "row")]
    if "period" in dates:
        told.append(" to ".join(map(_day, dates["period"])))
    return ", ".join([*told, f"{dates['with_time_of_day']:,} with a time of day"])


def _day(time: float) -> str:
    """The day of a year with its fraction, as ISO 8601."""
    year = int(time)
    start, end = dt.datetime(year, 1, 1), dt.datetime(year + 1, 1, 1)
    moment = start + (time - year) * (end - start) + dt.timedelta(minutes=1)  # the fraction is rounded
    return moment.date().isoformat()


def _credit(dataset: Dataset) -> str:
    """The attribution on figures and tables, and how to set it if it is missing."""
    from placevec.preparation.points.table import UNKNOWN_ATTRIBUTION

    told = clean(dataset.attribution, width=500)
    return f"{told}; set it with --attribution" if told == UNKNOWN_ATTRIBUTION else told


def _seen(spec: ViewSpec) -> str:
    """A description of the places' images."""
    if spec.size_px is None:
        return clean(spec.values)
    bands = ", ".join(spec.channels)
    return clean(f"{spec.size_px} x {spec.size_px} px of {bands}, {spec.values}", width=500)


def show_labeled(dataset: Dataset, out: Path, quiet: bool = False) -> None:
    """Print a summary for a table of points."""
    from placevec.datasets.views.registry import reader_of

    report = dataset.manifest["report"]
    joined = any("labels" in one["added"] for one in dataset.manifest.get("additions", ()))
    rows = counted(report["rows"], "row")
    say(f"{counted(len(dataset), 'place')}{f', labels from {rows}' if joined else f' of {rows}'}: {out}")
    for reason, count in report["left_out"].items():
        hint = "; --keep-duplicates keeps them" if reason.startswith("duplicates") else ""
        say(f"Left out: {counted(count, 'row')}, {reason}{hint}")
    say(f"Extent: {_extent(dataset)}")
    if "dates" in report:
        say(f"Dates: {_dated(report['dates'])}")
    if report.get("without_coordinates"):
        remark(
            f"Note: {report['without_coordinates']:,} places have no coordinates; their class can be predicted only "
            f"from images",
            quiet,
        )
    if report.get("at_lon_0_lat_0"):
        remark(
            f"Note: {report['at_lon_0_lat_0']:,} rows are at exactly lon=0, lat=0, which often means missing coordinates",
            quiet,
        )
    for note in report.get("notes", []):
        remark(f"Note: {clean(note, width=500)}", quiet)
    for view in dataset.view_names:
        if not reader_of(dataset.spec(view)).from_coordinates:
            say(f"{view.replace('_', ' ').capitalize()}: {_seen(dataset.spec(view))}")
    for name, value in label_facts(dataset).items():
        why = f": {report['labels']['why']}" if name == "kind" else ""
        say(f"{name[0].upper()}{name[1:]}: {clean(f'{value}{why}', width=500)}")
    say(f"Data: {_credit(dataset)}")
