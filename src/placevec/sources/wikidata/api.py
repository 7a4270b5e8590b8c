"""Items from the live API of Wikidata, or of another Wikibase: fifty at a time, one request after the other.

As https://www.mediawiki.org/wiki/API:Etiquette asks: a contact in the User-Agent, ``maxlag``, no parallel requests,
``Retry-After`` obeyed, compressed replies, and nothing asked for twice. A reply is foreign text: within limits of size
and depth, of the shape that is expected, or counted as unreadable.
"""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from placevec.errors import SourceError, UsageError
from placevec.io.json_documents import parse_json
from placevec.io.progress import SILENT, Progress, printable
from placevec.sources.http import WHOLE_S, Answer, TileClient, Trouble
from placevec.sources.tiles.download import MAX_PATIENCE_S, retry_after
from placevec.sources.web_address import USER_AGENT, check_url, port_of, printable_address
from placevec.sources.wikidata.items import Item, item_of, number_of
from placevec.sources.wikidata.store import ItemStore

ADDRESS = "https://www.wikidata.org/w/api.php"
IDS_AT_ONCE = MAX_VALUES = 50
"""Maximum number of items in a request, and of values of any parameter, by the API's own limit."""
MAX_LAG_S = 5
"""The server answers no request while its databases lag this many seconds behind, so that edits come first."""
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
MAX_REPLY_BYTES = 128 * 2**20
MAX_UNREADABLE = 8
"""Maximum consecutive unreadable replies before the job gives up."""
PROPERTIES = "labels|aliases|descriptions|claims"
FOUND, REDIRECTED, MISSING, UNREADABLE = "found", "redirected", "missing", "unreadable"
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_WAIT_CODES = frozenset(("maxlag", "ratelimited", "readonly"))
_CONTACT = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|https?://[^\s]+")
_TOLD_S = 5.0
"""Waits from which on they are reported, seconds."""
_READ_TWICE = 2
"""How often an unreadable reply is asked for, before half as many items are."""
sleep: Callable[[float], None] = time.sleep


class _Unreadable(Exception):  # noqa: N818 - half of the items are asked for again
    """A reply that is no document of the API, or says that one of its items cannot be given."""


@dataclass
class Fetched:
    """What came of a request for items.

    Attributes:
        cached: number of items that were known already.
        counts: number of items by what they are now: found, redirected (found under another number), missing or
            unreadable.
        requests: number of requests.
    """

    cached: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    requests: int = 0


def check_contact(contact: str | None) -> str:
    """A mail address or a page of whoever asks; UsageError if it is neither.

    >>> check_contact("maps@example.org")
    'maps@example.org'
    """
    if contact is None or not _CONTACT.fullmatch(contact) or not contact.isprintable() or len(contact) > 200:
        raise UsageError(
            f"Wikidata's API asks every program for a contact, through which its operators can reach you: give an "
            f"email address or web page with --wikidata-contact; got {contact!r}"
        )
    return contact


class WikidataApi:
    """The API at an address, asked politely.

    Args:
        address: of its ``api.php``.
        contact: of whoever asks.
        languages: that are wanted; empty for all.
        progress: receives reports of long waits.

    Attributes:
        languages: that are asked for; empty for all, as where too many are wanted for one request.
    """

    def __init__(
        self, address: str, contact: str, languages: Sequence[str] = (), *, progress: Progress = SILENT
    ) -> None:
        parts = check_url(address)
        if parts.query or parts.fragment:
            raise UsageError(f"{printable_address(address)} is not the address of an api.php: it has a query")
        server = frozenset({(parts.scheme, parts.hostname or "", port_of(parts))})
        self.address, self.progress = address, progress
        self.languages = tuple(languages) if len(languages) < MAX_VALUES else ()
        self.requests = self._in_a_row = 0
        self._shown = printable_address(address)
        self._client = TileClient(server, max_bytes=MAX_REPLY_BYTES)
        self._headers = {
            "User-Agent": f"{USER_AGENT.rstrip(')')}; {check_contact(contact)})",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }

    def __enter__(self) -> WikidataApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def items(self, qids: Sequence[int], counts: Counter[str]) -> dict[int, Item | None]:
        """Items by the number that was asked for; None for those that are not there. Unreadable ones are left out.

        Args:
            qids: at most `IDS_AT_ONCE`.
            counts: is filled: how many were found, redirected, missing or unreadable.
        """
        more = {"languages": "|".join((*self.languages, "mul"))} if self.languages else {}
        try:
            reply = self._ask(
                action="wbgetentities", ids="|".join(f"Q{qid}" for qid in qids), props=PROPERTIES, **more
            )
            entities = reply.get("entities")
            if not isinstance(entities, dict):
                raise _Unreadable("it has no entities")
        except _Unreadable as error:
            if len(qids) > 1:
                middle = len(qids) // 2
                return self.items(qids[:middle], counts) | self.items(qids[middle:], counts)
            counts[MISSING if error.args[1:] == (MISSING,) else UNREADABLE] += 1
            return {qids[0]: None} if error.args[1:] == (MISSING,) else {}
        found: dict[int, Item | None] = {}
        by_source = {_source(key, one): one for key, one in entities.items()}
        for qid in qids:
            one = by_source.get(qid)
            if isinstance(one, dict) and "missing" in one:
                found[qid] = None
                counts[MISSING] += 1
                continue
            try:
                found[qid] = item = item_of(one)
            except ValueError:
                counts[UNREADABLE] += 1
            else:
                counts[FOUND if item.qid == qid else REDIRECTED] += 1
        return found

    def search(self, text: str, language: str) -> list[int]:
        """Numbers of the items whose label or alias begins with a text, the best first (wbsearchentities)."""
        try:
            reply = self._ask(
                action="wbsearchentities", search=text[:250], language=language, uselang=language, type="item", limit="10"
            )  # fmt: skip
        except _Unreadable:
            return []
        hits = reply.get("search")
        numbers = (
            number_of(one.get("id"))
            for one in (hits if isinstance(hits, list) else ())
            if isinstance(one, dict)
        )
        return [number for number in numbers if number]

    def _ask(self, **query: str) -> dict[str, Any]:
        """The document that answers a request.

        Raises:
            _Unreadable: it is none, or one of the items cannot be given.
            SourceError: the server rejects the request, cannot be reached, or asks to wait too long.
        """
        more = {"format": "json", "formatversion": "2", "maxlag": str(MAX_LAG_S)}
        url = f"{self.address}?{urlencode({**query, **more})}"
        waited, failures, unreadable, reason = 0.0, 0, 0, ""
        while failures < ATTEMPTS and unreadable < _READ_TWICE:
            pause = min(FIRST_WAIT_S * 2**failures, LONGEST_WAIT_S)
            try:
                answer = self._get(url)
            except Trouble as trouble:
                reason = str(trouble)
                failures += 1
                unreadable += _READ_TWICE if "larger than" in reason else 0  # fewer items make it smaller
            else:
                document, reason = _document(answer)
                code, said = _error(document)
                if answer.status == 200 and document is not None and not code:
                    self._in_a_row = 0
                    return document
                if answer.status == 403:
                    raise SourceError(
                        f"{self._shown} rejected this program (403: {_text(answer)}). Is "
                        "--wikidata-contact correct? Items received so far are kept"
                    )
                if answer.status in _AGAIN or code in _WAIT_CODES:
                    reason = f"{code}: {said}" if code else f"it responded with {answer.status}"
                    told = retry_after(answer.headers)
                    failures += told is None
                    pause = self._patience(pause if told is None else told, waited, reason)
                    waited += pause
                elif code:
                    self._refused(code, said)
                elif answer.status != 200:
                    raise SourceError(f"{self._shown} responded with {answer.status}: is it an api.php?")
                else:
                    unreadable += 1
            if failures < ATTEMPTS and unreadable < _READ_TWICE:
                if pause >= _TOLD_S:
                    self.progress.say(f"Waiting {pause:,.0f} s for {self._shown}: {reason}")
                sleep(pause)
        if unreadable >= _READ_TWICE:
            self._in_a_row += 1
            if self._in_a_row < MAX_UNREADABLE:
                raise _Unreadable(reason)
        raise SourceError(
            f"{self._shown} gave no usable response: {reason}; items received so far are kept; run the same command "
            "again to continue"
        )

    def _patience(self, wait: float, waited: float, reason: str) -> float:
        """Seconds to wait; SourceError where that is too long, alone or with what was waited for this request."""
        if wait > MAX_PATIENCE_S or waited + wait > 2 * MAX_PATIENCE_S:
            raise SourceError(
                f"{self._shown} asks to wait for {(waited + wait) / 60:,.0f} minutes ({reason}); items received so far "
                "are kept; run the same command again later"
            )
        return wait

    def _get(self, url: str) -> Answer:
        """One answer, however slowly it comes: not beyond a limit."""
        watch = threading.Timer(WHOLE_S + 1.0, self._client.abort_if_slow)
        watch.daemon = True
        watch.start()
        self.requests += 1
        try:
            return self._client.get(url, self._headers)
        finally:
            watch.cancel()

    def _refused(self, code: str, said: str) -> None:
        """What an error means: of one of the items, or of everything."""
        if code in ("no-such-entity", "invalid-entity-id", "unknown_ids", "param-invalid"):
            raise _Unreadable(said, MISSING)
        if code in ("unresolved-redirect", "toomanyvalues"):
            raise _Unreadable(said)
        raise SourceError(f"{self._shown} responded with the error {code!r}: {said}")


def fetch_items(
    api: WikidataApi, store: ItemStore, qids: Sequence[int], *, label: str = "Wikidata items", progress: Progress = SILENT
) -> Fetched:  # fmt: skip
    """Bring items into a store that it does not hold; each reply is kept at once, so a killed command goes on there.

    Args:
        api: to be asked.
        store: to be filled.
        qids: numbers of the items.
        label: of the progress bar.
        progress: receives progress reports.
    """
    done, asked = Fetched(), api.requests
    wanted = sorted(set(qids))
    known = store.known(wanted)
    done.cached = len(known)
    missing = [qid for qid in wanted if qid not in known]
    with progress.task(label, total=len(wanted)) as advance:
        advance(len(known))
        for start in range(0, len(missing), IDS_AT_ONCE):
            part = missing[start : start + IDS_AT_ONCE]
            found = api.items(part, done.counts)
            store.put(found)
            advance(len(part), ", ".join(f"{count:,} {what}" for what, count in done.counts.items()))
    done.requests = api.requests - asked
    return done


def _source(key: str, entity: Any) -> int:
    """The number that an entity of a reply was asked for by."""
    redirect = entity.get("redirects") if isinstance(entity, dict) else None
    return number_of(redirect.get("from")) if isinstance(redirect, dict) else number_of(key)


def _document(answer: Answer) -> tuple[dict[str, Any] | None, str]:
    """(the document in an answer, or None; why it is unreadable)."""
    try:
        body = answer.body
        if answer.headers.get("content-encoding", "").lower() == "gzip":
            unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
            body = unpack.decompress(body, MAX_REPLY_BYTES)
            if not unpack.eof:
                return None, "a reply whose compressed data is truncated or too large"
        content = parse_json(body)
    except (ValueError, zlib.error) as error:
        return None, f"a reply that is not JSON: {printable(str(error))[:120]}"
    return (content, "") if isinstance(content, dict) else (None, "a reply that is not a document")


def _error(document: dict[str, Any] | None) -> tuple[str, str]:
    """(code, explanation) of an error in a document."""
    error = document.get("error") if document else None
    if error is None:
        return "", ""
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return "unknown", repr(error)[:120]
    return printable(error["code"])[:60] or "unknown", printable(str(error.get("info", "")))[:200]


def _text(answer: Answer) -> str:
    return (
        printable(" ".join(answer.body[:200].decode("utf-8", "replace").split()))[:120] or "no reason given"
    )
