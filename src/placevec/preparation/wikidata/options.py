"""The options of adding what Wikidata says of entities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option

API = "api"
_LANGUAGE = re.compile(r"[a-z]{2,12}(-[a-z0-9]{1,12})*")
_NEEDING = ("languages", "wikidata_contact", "wikidata_search", "wikidata_distance_m", "wikidata_similarity")


@dataclass(frozen=True)
class WikidataOptions(Options):
    """Names, descriptions and types of entities from Wikidata.

    Raises:
        UsageError: an option without ``--wikidata``, or one that does not apply to a dump.
    """

    GROUP: ClassVar[str] = "Wikidata"

    wikidata: str | None = option(
        None,
        "Wikidata items of the entities: api (the live API), the address of another api.php, or a JSON dump"
        " (.json, .json.gz, .json.bz2)",
    )
    languages: tuple[str, ...] = option(
        (), "Languages to take from Wikidata: its language codes, separated by commas (default: all)"
    )
    wikidata_contact: str | None = option(
        None,
        "Your email address or web page, which the API requires and which is sent with each request; if "
        "given with a dump, items missing from the dump are requested from the API",
    )
    wikidata_search: bool = option(
        False,
        "Also search by name for entities without an item, one request each; matches are checked by name and distance",
    )
    wikidata_distance_m: float | None = option(
        None, "Maximum distance between a found item and the entity, meters (default 2000)", above=0
    )
    wikidata_similarity: float | None = option(
        None,
        "Minimum similarity between the item's name and the entity's, 0 to 1 (default 0.9)",
        above=0,
        max=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wikidata is None:
            for name in _NEEDING:
                if getattr(self, name):
                    raise UsageError(f"{flag_of(name)} applies to Wikidata: it needs --wikidata")
            return
        for language in self.languages:
            if not _LANGUAGE.fullmatch(language):
                raise UsageError(f"--languages must be codes such as fi or zh-hant; got {language!r}")
        if self.of_api or self.wikidata_contact is not None:
            from placevec.sources.wikidata.api import check_contact

            check_contact(self.wikidata_contact)
        if not self.of_api and self.wikidata_search:
            raise UsageError("--wikidata-search asks the API: it needs --wikidata api")
        for name in ("wikidata_distance_m", "wikidata_similarity"):
            if getattr(self, name) is not None and not self.wikidata_search:
                raise UsageError(f"{flag_of(name)} applies to searching: it needs --wikidata-search")

    @property
    def of_api(self) -> bool:
        """Whether the items come from an API, not from a dump."""
        return self.wikidata == API or str(self.wikidata).startswith(("http://", "https://"))

    @property
    def address(self) -> str:
        """Of the API: the live one where items come from a dump."""
        from placevec.sources.wikidata.api import ADDRESS

        return str(self.wikidata) if self.of_api and self.wikidata != API else ADDRESS
