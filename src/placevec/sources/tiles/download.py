"""Bringing the tiles of a plan from a server into the cache: few connections, patient, and never twice.

What came is kept as it comes (`placevec.sources.tiles.cache`), so that a job that was killed, or that gave up, goes on
where it was. Only the numbers of the tiles are held in memory, however many there are.
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
"""Connections to a server on the open internet, to one of your own, and at most."""
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Seconds before the second attempt, doubled each time, up to; a random part of them is taken off."""
MAX_PATIENCE_S = 900.0
"""The longest wait that a server may ask for before the job gives up."""
MAX_IN_A_ROW = 50
"""Tiles that may fail one after the other before the job gives up."""
MIN_AGE_S = 7 * 86400.0
"""For how long a kept tile is not asked for again."""
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
    """What came of the tiles of a plan.

    Attributes:
        kept: tiles that were there already.
        fetched: tiles that came.
        unchanged: tiles of which the server said that they are still the same.
        size: bytes that came.
        bad: code -> (kind, reason) of the tiles that are not to be had: missing, corrupt or failed.
    """

    kept: int = 0
    fetched: int = 0
    unchanged: int = 0
    size: int = 0
    bad: dict[int, tuple[int, str]] = field(default_factory=dict)


class TooManyBadError(SourceError):
    """More tiles are not to be had than was allowed; ``bad`` says which, as in `Download`."""

    def __init__(self, bad: dict[int, tuple[int, str]], needed: int, allowed: int) -> None:
        reasons = Counter(reason for _, reason in bad.values()).most_common(3)
        told = "; ".join(f"{count:,}: {reason}" for reason, count in reasons)
        super().__init__(
            f"{len(bad):,} of {needed:,} tiles are not to be had, and {allowed:,} may be: {told}"
        )
        self.bad = bad


class _Job(NamedTuple):
    code: int
    url: str
    headers: dict[str, str]
    had: bool
    """Whether an old copy is kept."""


class _Result(NamedTuple):
    job: _Job
    kind: int
    """`UNKNOWN`: it came, and nobody has looked into it yet."""
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
    """Bring the tiles of a plan into the cache.

    Answers 408, 425, 429 and 5xx and broken connections are tried again, five times in all, ever later; torn images
    once; ``Retry-After`` is obeyed by all connections. What the server lacks (404, 410, 204) is not asked for again.

    Args:
        template: where from.
        plan: which.
        cache: where to.
        connections: at once; by default 2 to a server on the open internet, 8 to one of your own.
        max_bad: tiles that may be missing, corrupt or failed.
        refresh: ask again about tiles that are kept; the server need not send those that did not change.
        progress: where to report.

    Raises:
        TooManyBadError: more than ``max_bad``.
        SourceError: nobody answers, the server asks to wait too long, or redirects to where one must not go.
        OutputError: the cache cannot be written.
    """
    count = _polite(template) if connections is None else check_connections(connections)
    return _Work(template, plan, cache, count, max_bad, refresh, progress).run()


def check_connections(count: int) -> int:
    """``count`` itself; UsageError when it is none, or not polite."""
    if not 1 <= count <= MAX_CONNECTIONS:
        raise UsageError(f"tiles come over 1 to {MAX_CONNECTIONS} connections; got {count}")
    return count


def _polite(template: TileTemplate) -> int:
    """How many connections suit a server."""
    host, port, _ = template.server
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return CONNECTIONS_PUBLIC
    public = all(is_public(str(info[4][0])) for info in found)
    return CONNECTIONS_PUBLIC if public else CONNECTIONS_PRIVATE


class _Work:
    """One job: this thread plans and keeps, the others ask."""

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
        """The tiles that must be asked for; what is known of the others is noted on the way."""
        headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT, "Accept-Encoding": "identity"}
        for start in range(0, len(self.plan), _CHUNK):
            codes = self.plan.codes[start : start + _CHUNK]
            known, now = self.cache.known(codes), time.time()
            for code in codes.tolist():
                kept = known.get(code)
                if kept is not None and kept.kind == CORRUPT:  # it came, and did not decode
                    kept = None
                if kept is not None and kept.fresh_until > now and not self.refresh:
                    if kept.kind == MISSING:
                        self._bad(code, MISSING, "the server has none")
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
        """Wait for an answer and keep it."""
        while True:
            try:
                result = self.results.get(timeout=_TICK_S)
                break
            except queue.Empty:
                self.cache.commit()  # while nothing comes: a kill then costs no tile that came
                for client in self.clients:
                    client.abort_if_slow()
        if isinstance(result, Exception):
            raise result
        (code, _, _, had), kind, reason, answer = result
        failed = kind in (CORRUPT, FAILED)
        self.in_a_row = self.in_a_row + 1 if failed else 0
        if failed and had:  # better old than none
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
                self._bad(code, kind, "the server has none")
            else:
                self.done.fetched += 1
                self.done.size += len(answer.body)
        if self.in_a_row >= MAX_IN_A_ROW:
            raise SourceError(
                f"{self.in_a_row} tiles in a row did not come from {self.template.shown}: {reason}; what came is kept, "
                "run the same command again to go on"
            )
        self.waiting += 1
        self._tick(advance)

    def _bad(self, code: int, kind: int, reason: str) -> None:
        self.done.bad[code] = kind, reason
        if len(self.done.bad) > self.max_bad:
            raise TooManyBadError(self.done.bad, len(self.plan), self.max_bad)

    def _tick(self, advance: Advance, *, last: bool = False) -> None:
        """Now and then: commit, and tell how far it is."""
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
            except Exception as error:  # whatever it is, the job must hear of it
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
                result, unreachable = _judged(job, answer), False
                if result.kind == FAILED and answer.status in _AGAIN:
                    pause = self._slow_down(answer, pause)
                elif result.kind != CORRUPT or attempt > 0:
                    return result
            if attempt < ATTEMPTS - 1 and self.stop.wait(pause):
                break
        if unreachable:
            raise SourceError(
                f"cannot reach {self.template.shown}: {result.reason}; is the server running?"
                f"{_past_a_proxy(self.template)} What came is kept"
            )
        return result

    def _slow_down(self, answer: Answer, pause: float) -> float:
        """Seconds until the next attempt; where the server is overrun or says when, all connections wait."""
        told = retry_after(answer.headers)
        if told is not None and told > MAX_PATIENCE_S:
            raise SourceError(
                f"{self.template.shown} answers {answer.status} and asks to wait for {told / 60:,.0f} minutes; what "
                "came is kept, run the same command again later"
            )
        if told is None and answer.status != 429:
            return pause
        self.not_before = max(self.not_before, time.monotonic() + (pause if told is None else told))
        return 0.0


def _judged(job: _Job, answer: Answer) -> _Result:
    """What an answer is."""
    if answer.status == 304 and job.had:
        return _Result(job, UNKNOWN, answer=answer)
    if answer.status in _MISSING:
        return _Result(job, MISSING, answer=answer)
    if answer.status != 200:
        return _Result(job, FAILED, f"the server answers {answer.status}")
    kind = answer.headers.get("content-type", _IMAGES[0]).split(";")[0].strip().lower()
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return _Result(job, CORRUPT, "the answer is compressed, which was not asked for")
    if kind not in _IMAGES:
        return _Result(
            job, CORRUPT, f"the server says that the tile is {kind[:60]!r}, no PNG, JPEG, WebP or AVIF image"
        )
    try:
        check_tile(answer.body, side=TILE_PX)
    except SourceError as error:
        return _Result(job, CORRUPT, str(error))
    return _Result(job, UNKNOWN, answer=answer)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, from a number or a date (RFC 9110, 10.2.3); None when it does not say.

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
    except (ValueError, TypeError, OverflowError):  # no date, or one of the two without a zone
        return None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _fresh(answer: Answer) -> float:
    return fresh_until(answer.headers.get("cache-control", ""), MIN_AGE_S)


def _sendable(text: str) -> str | None:
    """A validator that can be sent back as a header."""
    return text if 0 < len(text) <= 200 and text.isascii() and text.isprintable() else None


def _past_a_proxy(template: TileTemplate) -> str:
    """What to say where the environment names a proxy for a server: tiles do not go through it.

    Whether a redirect may be followed is known of the address that is connected to, which a proxy would choose.
    """
    scheme, host = template.text.partition("://")[0].lower(), template.server[0]
    if scheme not in urllib.request.getproxies() or urllib.request.proxy_bypass(host):
        return ""
    return f" Tiles are asked for directly, not through the proxy that {scheme.upper()}_PROXY names."
