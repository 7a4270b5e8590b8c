"""Requests to a server that are repeated when that may help, and never hurried: for sources of few, large answers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping

from placevec.errors import SourceError
from placevec.sources.http import WHOLE_S, Answer, TileClient, Trouble
from placevec.sources.tiles.download import (
    ATTEMPTS,
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    MAX_PATIENCE_S,
    retry_after,
)
from placevec.sources.web_address import USER_AGENT, check_url, port_of, printable_address, refuse_bulk

AGAIN = (408, 425, 429, 500, 502, 503, 504)


class PatientClient:
    """The connections of one thread to the servers of one source.

    Args:
        named: addresses given by the user. Their servers can be anywhere; any other server must be on the public
            internet.
        max_bytes: maximum size of an answer.
        sleep: waits for some seconds.

    Attributes:
        size: bytes received.

    Raises:
        SourceError: an address that is no http(s) address, or holds a password.
    """

    def __init__(
        self, named: tuple[str, ...], *, max_bytes: int, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        servers = []
        for address in named:
            parts = check_url(address)
            refuse_bulk(parts.hostname or "")
            servers.append((parts.scheme, parts.hostname or "", port_of(parts)))
        self._client = TileClient(frozenset(servers), max_bytes=max_bytes)
        self._sleep = sleep
        self.size = 0

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, ok: tuple[int, ...] = (200,)
    ) -> Answer:
        """The answer to a GET request, of a status in ``ok``.

        Raises:
            SourceError: another status, no answer after several attempts, or a server that must not be contacted.
        """
        return self._asked(url, lambda sent: self._client.get(url, sent), headers or {}, ok)

    def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a POST request of JSON; raises as `get` does."""
        told = {"Content-Type": "application/json", **(headers or {})}
        return self._asked(url, lambda sent: self._client.post(url, sent, body), told, (200,))

    def close(self) -> None:
        """Close all connections for good."""
        self._client.close()

    def _asked(
        self,
        url: str,
        ask: Callable[[Mapping[str, str]], Answer],
        headers: Mapping[str, str],
        ok: tuple[int, ...],
    ) -> Answer:
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        shown, reason = printable_address(url), ""
        for attempt in range(ATTEMPTS):
            pause = random.uniform(0.5, 1.0) * min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
            slow = threading.Timer(WHOLE_S, self._client.abort_if_slow)
            slow.daemon = True
            slow.start()
            try:
                answer = ask(sent)
            except Trouble as trouble:
                reason = str(trouble)
            else:
                self.size += len(answer.body)
                if answer.status in ok:
                    return answer
                reason = f"the server responded with {answer.status}"
                if answer.status not in AGAIN:
                    break
                told = retry_after(answer.headers)
                if told is not None and told > MAX_PATIENCE_S:
                    raise SourceError(
                        f"{shown} responded with {answer.status} and asks to wait for {told / 60:,.0f} minutes: run "
                        f"the same command again later to continue"
                    )
                pause = pause if told is None else told
            finally:
                slow.cancel()
            if attempt < ATTEMPTS - 1:
                self._sleep(pause)
        raise SourceError(f"cannot read {shown}: {reason}")
