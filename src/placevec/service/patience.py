"""Connections that send the head of a request slowly, or nothing, are closed; so are heads that are too large."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_S = 10.0
"""Seconds in which the head of a request must have arrived."""
MAX_HEAD = 65_536


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP of uvicorn, which waits for the rest of a head forever, with an end to that."""

    _waiting: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait as long as a head is not complete, from its first byte."""
        before = self.cycle
        super().data_received(data)
        began = self.cycle is not None and self.cycle is not before
        if began or (self.cycle is not None and not self.cycle.response_complete):
            self._stop()
            self._head = 0
            return
        self._head += len(data)
        if self._head > MAX_HEAD:
            self.transport.close()
        elif self._waiting is None:
            self._wait()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._close)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        self._waiting = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
