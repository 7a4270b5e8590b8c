"""Downloads the tiles of a plan into the cache: with few connections, patiently, and never twice.

Tiles are cached as they arrive (`placevec.sources.tiles.cache`), so that a job that was killed or gave up can
continue. Only the codes of the tiles are held in memory, however many there are.
"""

from __future__ import annotations

import datetime
import email.utils
import queue
import random
import re
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from placevec.errors import SourceError, UsageError
from placevec.geo import TILE_PX
from placevec.io.progress import SILENT, Advance, Progress
from placevec.sources.http import Answer, TileClient, Trouble
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import CORRUPT, FAILED, MISSING, UNKNOWN, Kept, TileCache, fresh_until
from placevec.sources.tiles.decode import MAX_TILE_BYTES, check_tile
from placevec.sources.tiles.plan import TilePlan
from placevec.sources.web_address import USER_AGENT, is_public

CONNECTIONS_PUBLIC, CONNECTIONS_PRIVATE, MAX_CONNECTIONS = 2, 8, 64
"""Connections to a server on the internet, to one of your own, and the maximum."""
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Delay in seconds before the second attempt, doubled each time, and its maximum; minus a random part."""
MAX_PATIENCE_S = 900.0
"""Maximum wait requested by the server before the job gives up."""
MAX_IN_A_ROW = 50
"""Maximum consecutive failures before the job gives up."""
MIN_AGE_S = 7 * 86400.0
"""Time for which a cached tile is not requested again."""
_ACCEPT = "image/png, image/jpeg, image/webp"
_IMAGES = (
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/webp",
    "image/avif",
    "image/x-png",
    "application/octet-stream",
)
_MISSING = (204, 404, 410)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_TICK_S = 0.25
_CHUNK = 2000


@dataclass
class Download:
    """The result of downloading a plan.

    Attributes:
        kept: tiles that were cached already.
        fetched: downloaded tiles.
        unchanged: tiles that have not changed, according to the server.
        size: downloaded bytes.
        bad: code -> (kind, reason) of the tiles that are missing, corrupt or failed.
    """

    kept: int = 0
    fetched: int = 0
    unchanged: int = 0
    size: int = 0
    bad: dict[int, tuple[int, str]] = field(default_factory=dict)


class TooManyBadError(SourceError):
    """More tiles are missing, corrupt or failed than allowed; ``bad`` lists them, as in `Download`."""

    def __init__(self, bad: dict[int, tuple[int, str]], needed: int, allowed: int) -> None:
        reasons = Counter(reason for _, reason in bad.values()).most_common(3)
        told = "; ".join(f"{count:,}: {reason}" for reason, count in reasons)
        super().__init__(
            f"{len(bad):,} of {needed:,} tiles are missing, corrupt or failed, but at most {allowed:,} are allowed: "
            f"{told}"
        )
        self.bad = bad


class _Job(NamedTuple):
    code: int
    url: str
    headers: dict[str, str]
    had: bool
    """Whether an old copy is cached."""


class _Result(NamedTuple):
    job: _Job
    kind: int
    """`UNKNOWN`: downloaded, but not checked yet."""
    reason: str = ""
    answer: Answer | None = None


def download_tiles(
    template: TileTemplate,
    plan: TilePlan,
    cache: TileCache,
    *,
    connections: int | None = None,
    max_bad: int = 0,
    refresh: bool = False,
    progress: Progress = SILENT,
) -> Download:
    """Download the tiles of a plan into the cache.

    Answers 408, 425, 429 and 5xx and broken connections are retried with growing delays, five attempts in all;
    truncated images once. ``Retry-After`` pauses all connections. Tiles that the server lacks (404, 410, 204) are not
    requested again.

    Args:
        template: address of the tiles.
        plan: the tiles.
        cache: the cache.
        connections: number of connections; default is 2 to a server on the internet, 8 to one of your own.
        max_bad: maximum tiles that are missing, corrupt or failed.
        refresh: ask about cached tiles again; the server does not need to send unchanged ones.
        progress: receives progress reports.

    Raises:
        TooManyBadError: more than ``max_bad``.
        SourceError: no server answers, it asks to wait too long, or it redirects to a forbidden address.
        OutputError: the cache cannot be written.
    """
    count = _polite(template) if connections is None else check_connections(connections)
    return _Work(template, plan, cache, count, max_bad, refresh, progress).run()


def check_connections(count: int) -> int:
    """``count`` itself; UsageError if it is invalid or too large.

    >>> check_connections(8)
    8
    """
    if not 1 <= count <= MAX_CONNECTIONS:
        raise UsageError(f"--connections must be 1 to {MAX_CONNECTIONS}; got {count}")
    return count


def _polite(template: TileTemplate) -> int:
    """The default number of connections to a server."""
    host, port, _ = template.server
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return CONNECTIONS_PUBLIC
    public = all(is_public(str(info[4][0])) for info in found)
    return CONNECTIONS_PUBLIC if public else CONNECTIONS_PRIVATE


class _Work:
    """One job: this thread plans and caches, the others download."""

    def __init__(
        self, template: TileTemplate, plan: TilePlan, cache: TileCache, connections: int, max_bad: int,
        refresh: bool, progress: Progress,
    ) -> None:  # fmt: skip
        self.template, self.plan, self.cache, self.progress = template, plan, cache, progress
        self.max_bad, self.refresh = max_bad, refresh
        self.done = Download()
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[_Result | Exception] = queue.SimpleQueue()
        self.stop, self.not_before = threading.Event(), 0.0
        self.clients = [TileClient(template.servers, max_bytes=MAX_TILE_BYTES) for _ in range(connections)]
        self.began = self.ticked = time.monotonic()
        self.waiting = self.in_a_row = 0

    def run(self) -> Download:
        threads = [
            threading.Thread(target=self._ask_on, args=(client,), daemon=True) for client in self.clients
        ]
        try:
            with self.progress.task("Downloading tiles", total=len(self.plan)) as advance:
                for thread in threads:
                    thread.start()
                asked = 0
                for job in self._wanted(advance):
                    if asked >= 4 * len(threads):
                        self._collect(advance)
                        asked -= 1
                    self.jobs.put(job)
                    asked += 1
                for _ in range(asked):
                    self._collect(advance)
                self._tick(advance, last=True)
        finally:
            self.stop.set()
            for client in self.clients:
                self.jobs.put(None)
                client.close()
            self.cache.commit()
            for thread in threads:
                thread.join(timeout=1.0)
        return self.done

    # --- this thread ---------------------------------------------------------------------------------------

    def _wanted(self, advance: Advance) -> Iterator[_Job]:
        """The tiles to request; those known already are recorded on the way."""
        headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT, "Accept-Encoding": "identity"}
        for start in range(0, len(self.plan), _CHUNK):
            codes = self.plan.codes[start : start + _CHUNK]
            known, now = self.cache.known(codes), time.time()
            for code in codes.tolist():
                kept = known.get(code)
                if kept is not None and kept.kind == CORRUPT:  # it was downloaded, but could not be decoded
                    kept = None
                if kept is not None and kept.fresh_until > now and not self.refresh:
                    if kept.kind == MISSING:
                        self._bad(code, MISSING, "not on the server")
                    else:
                        self.done.kept += 1
                    self.waiting += 1
                    self._tick(advance)
                    continue
                had = kept is not None and kept.kind != MISSING
                y, x = divmod(code, 2**self.plan.zoom)
                own = dict(headers)
                if had and kept is not None:
                    own |= {"If-None-Match": kept.etag} if kept.etag else {}
                    own |= {"If-Modified-Since": kept.modified} if kept.modified else {}
                yield _Job(code, self.template.url(self.plan.zoom, x, y), own, had)

    def _collect(self, advance: Advance) -> None:
        """Wait for an answer and cache it."""
        while True:
            try:
                result = self.results.get(timeout=_TICK_S)
                break
            except queue.Empty:
                self.cache.commit()  # while waiting, so that a kill loses no downloaded tile
                for client in self.clients:
                    client.abort_if_slow()
        if isinstance(result, Exception):
            raise result
        (code, _, _, had), kind, reason, answer = result
        failed = kind in (CORRUPT, FAILED)
        self.in_a_row = self.in_a_row + 1 if failed else 0
        if failed and had:  # an old tile is better than none
            self.done.kept += 1
        elif failed:
            self._bad(code, kind, reason)
        elif answer is not None and answer.status == 304:
            self.cache.renew(code, _fresh(answer))
            self.done.unchanged += 1
        elif answer is not None:
            body = answer.body if kind != MISSING else None
            told = (_sendable(answer.headers.get(name, "")) for name in ("etag", "last-modified"))
            self.cache.put(code, body, Kept(kind, _fresh(answer), *told))
            if kind == MISSING:
                self._bad(code, kind, "not on the server")
            else:
                self.done.fetched += 1
                self.done.size += len(answer.body)
        if self.in_a_row >= MAX_IN_A_ROW:
            raise SourceError(
                f"{self.in_a_row} tiles in a row could not be downloaded from {self.template.shown}: {reason}; "
                "downloaded tiles are kept; run the same command again to continue"
            )
        self.waiting += 1
        self._tick(advance)

    def _bad(self, code: int, kind: int, reason: str) -> None:
        self.done.bad[code] = kind, reason
        if len(self.done.bad) > self.max_bad:
            raise TooManyBadError(self.done.bad, len(self.plan), self.max_bad)

    def _tick(self, advance: Advance, *, last: bool = False) -> None:
        """From time to time: commit, and report progress."""
        now = time.monotonic()
        if now - self.ticked < _TICK_S and not last:
            return
        self.ticked = now
        self.cache.commit()
        rate = (self.done.fetched + self.done.unchanged) / max(now - self.began, 1e-3)
        advance(self.waiting, f"{rate:,.0f}/s, {self.done.size / 1e6:,.1f} MB, {len(self.done.bad):,} bad")
        self.waiting = 0

    # --- the others ----------------------------------------------------------------------------------------

    def _ask_on(self, client: TileClient) -> None:
        while (job := self.jobs.get()) is not None and not self.stop.is_set():
            try:
                self.results.put(self._ask(client, job))
            except Exception as error:  # the main thread must see every error
                self.stop.set()
                self.results.put(error)

    def _ask(self, client: TileClient, job: _Job) -> _Result:
        result, unreachable = _Result(job, FAILED, "stopped"), False
        for attempt in range(ATTEMPTS):
            if self.stop.wait(max(0.0, self.not_before - time.monotonic())):
                break
            pause = random.uniform(0.5, 1.0) * min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
            try:
                answer = client.get(job.url, job.headers)
            except Trouble as trouble:
                result, unreachable = _Result(job, FAILED, str(trouble)), trouble.unreachable
            else:
                result, unreachable = _classified(job, answer), False
                if result.kind == FAILED and answer.status in _AGAIN:
                    pause = self._slow_down(answer, pause)
                elif result.kind != CORRUPT or attempt > 0:
                    return result
            if attempt < ATTEMPTS - 1 and self.stop.wait(pause):
                break
        if unreachable:
            raise SourceError(
                f"cannot reach {self.template.shown}: {result.reason}; check that the server is running."
                f"{_past_a_proxy(self.template)} Downloaded tiles are kept"
            )
        return result

    def _slow_down(self, answer: Answer, pause: float) -> float:
        """Seconds until the next attempt; if the server is overloaded or asks for it, all connections wait."""
        told = retry_after(answer.headers)
        if told is not None and told > MAX_PATIENCE_S:
            raise SourceError(
                f"{self.template.shown} returned HTTP {answer.status} and asks to wait {told / 60:,.0f} minutes; "
                "downloaded tiles are kept; run the same command again later"
            )
        if told is None and answer.status != 429:
            return pause
        self.not_before = max(self.not_before, time.monotonic() + (pause if told is None else told))
        return 0.0


def _classified(job: _Job, answer: Answer) -> _Result:
    """Classify an answer."""
    if answer.status == 304 and job.had:
        return _Result(job, UNKNOWN, answer=answer)
    if answer.status in _MISSING:
        return _Result(job, MISSING, answer=answer)
    if answer.status != 200:
        return _Result(job, FAILED, f"the server returned HTTP {answer.status}")
    kind = answer.headers.get("content-type", _IMAGES[0]).split(";")[0].strip().lower()
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return _Result(job, CORRUPT, "the response is compressed, although this was not requested")
    if kind not in _IMAGES:
        return _Result(job, CORRUPT, f"the content type is {kind[:60]!r}, not PNG, JPEG, WebP or AVIF")
    try:
        check_tile(answer.body, side=TILE_PX)
    except SourceError as error:
        return _Result(job, CORRUPT, str(error))
    return _Result(job, UNKNOWN, answer=answer)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, from a number or a date (RFC 9110, 10.2.3); None if it does not.

    >>> retry_after({"retry-after": "120"})
    120.0
    >>> date = "Wed, 21 Oct 2026 07:28:00 GMT"
    >>> retry_after({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": date})
    30.0
    """
    told = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", told):
        return float(told)
    try:
        then = email.utils.parsedate_to_datetime(told)
        now = email.utils.parsedate_to_datetime(headers["date"]) if "date" in headers else _now()
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # not a date, or one of the two has no time zone
        return None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _fresh(answer: Answer) -> float:
    return fresh_until(answer.headers.get("cache-control", ""), MIN_AGE_S)


def _sendable(text: str) -> str | None:
    """A validator that can be sent back as a header."""
    return text if 0 < len(text) <= 200 and text.isascii() and text.isprintable() else None


def _past_a_proxy(template: TileTemplate) -> str:
    """A hint if the environment sets a proxy for a server: tiles do not use it.

    Redirects are allowed by the address that is connected to, which a proxy would choose.
    """
    scheme, host = template.text.partition("://")[0].lower(), template.server[0]
    if scheme not in urllib.request.getproxies() or urllib.request.proxy_bypass(host):
        return ""
    return f" Tiles are requested directly, not through the proxy in {scheme.upper()}_PROXY."
