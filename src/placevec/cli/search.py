"""``placevec search``: the places most similar to a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.searching import check_query, similar
from placevec.cli.output import clean, counted, plain_rows, print_json, print_table, say
from placevec.cli.signature import taking_keywords_of
from placevec.options import flag_of, keywords_of

HELP = """\
Give the query by coordinates, place ID, tile, name, entity, text or image, or by several examples of what to find and
what not to find. Coordinates that are not those of a place in the table are embedded if the dataset and the run are
still at their recorded paths; otherwise the nearest place is used, and its name is printed. z is a result's z-score:
how far it stands out from all places.

For example:

  placevec search malta.parquet --lon 14.51 --lat 35.90 -k 20

  placevec search malta.parquet --tile 17/70818/51558 --metric euclidean --csv like-it.csv

  placevec search named.parquet --text "a reservoir between fields" --picture reservoirs.html

  placevec search named.parquet --entity Q1757

  placevec search named.parquet --image chip.tif

  placevec search malta.parquet --like 17/70818/51558 --like 17/70900/51600 --unlike 17/70830/51561 \\
      --threshold 0.2 -k 5000 -o quarries.geojson

  placevec search malta.parquet --name Valletta --backend hnsw --columns clusters.parquet --filters cluster=2

With --category, the first argument is a run that learned vectors of categories, or a table of them (all: every
category):

  placevec search runs/categories --category cafe"""

PRINTED = 50
"""Rows of the printed table."""


@taking_keywords_of(similar)
def command(
    embeddings: Path,
    /,
    *,
    category: str | None = None,
    out: Path | None = None,
    csv: Path | None = None,
    as_json: bool = False,
    **options: Any,
) -> None:
    """Print the ranking.

    Args:
        category: Category of points of interest whose nearest categories are listed, such as cafe (all: for every
            category).
        out: File to which the result is written as well, .geojson, .parquet (GeoParquet) or .csv.
        csv: CSV file to which the printed table is written as well.
    """
    from placevec.api.inputs import load_embeddings
    from placevec.api.search_results import check_results, save_results
    from placevec.io import atomic

    if csv is not None:
        atomic.check_writable(csv)
    if category is not None:
        _categories(embeddings, category, csv, as_json, {"out": out, **options})
        return
    if out is not None:
        check_results(out)
    check_query(**options)
    loaded = load_embeddings(embeddings)
    found = similar(loaded, **options)
    if out is not None:
        save_results(found, out, loaded.provenance.attribution)
    query = found.attrs["query"]
    told = ["entity", "type"] if "entity" in found else []
    columns = ["rank", "place_id", "name", "label", *told, "lon", "lat", query["measure"], "z"]
    rows = plain_rows(found[columns])
    if csv is not None:
        atomic.write_csv(csv, columns, rows)
    if as_json:
        print_json(
            {
                "query": query,
                "metric": query["metric"],
                "notes": found.attrs["notes"],
                "results": [dict(zip(columns, row, strict=True)) for row in rows],
            }
        )
        return
    say(described(query))
    shown = [column for column in columns if column not in ("name", "entity")]
    print_table(shown, plain_rows(found[shown].head(PRINTED)))
    if len(found) > PRINTED:
        left = "the others are in the file" if out or csv else "-o FILE writes all, --json prints them"
        say(f"{len(found):,} places, of which the first {PRINTED} are shown: {left}")
    for note in found.attrs["notes"]:
        say(f"Note: {clean(note, width=500)}")
    if out is not None:
        say(f"{out}: {counted(len(found), 'place')}")
    if options.get("picture") is not None:
        say(f"{options['picture']}: the results as a picture")


def _categories(
    vectors: Path, category: str, csv: Path | None, as_json: bool, options: dict[str, Any]
) -> None:
    """Print the categories nearest to one, or to each."""
    from placevec.api.categories import similar_categories
    from placevec.errors import UsageError
    from placevec.io import atomic

    defaults = {one.name: one.default for one in keywords_of(similar)}
    if others := [name for name, value in options.items() if name != "k" and value != defaults.get(name)]:
        raise UsageError(f"--category lists categories, not places: {flag_of(others[0])} does not apply")
    found = similar_categories(vectors, category, k=options.get("k", 10))
    columns, rows = list(found.columns), plain_rows(found)
    if csv is not None:
        atomic.write_csv(csv, columns, rows)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_table(columns, rows)


def described(query: dict[str, object]) -> str:
    """The query in words."""
    from placevec.core import FUSED

    view = query.get("view")
    by = ", by the fused vectors of all views" if view == FUSED else f", by the view {clean(view)}"
    if query.get("like"):
        liked, avoided = query["like"], query.get("unlike") or ()
        less = f" and unlike {_few(avoided)}" if avoided else ""
        return f"Places like {_few(liked)}{less}{by}"
    if query.get("text") is not None:
        return f"Places similar to the text {clean(str(query['text']))!r}{by}"
    if query.get("image") is not None:
        return f"Places similar to the image {clean(str(query['image']))!r}{by}"
    if query.get("embedded_afresh"):
        return f"Places similar to lon={query['lon']}, lat={query['lat']} (embedded for this query){by}"
    name = query.get("name") or query.get("entity_name")
    named = f" ({clean(name)})" if name and name != query["place_id"] else ""
    asked = f"Places similar to {clean(query['place_id'])}{named}{by}"
    away = query.get("distance_m")
    if not isinstance(away, float) or away < 0.5:
        return asked
    return f"{asked}, the place nearest to the point, {away:.0f} m away"


def _few(ids: Any) -> str:
    """The first three of some IDs, and how many there are."""
    shown = ", ".join(clean(one) for one in ids[:3])
    return shown if len(ids) <= 3 else f"{shown} and {len(ids) - 3} others"
