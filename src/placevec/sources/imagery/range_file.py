"""A file on a web server, read in parts: only the bytes that are needed are requested.

GDAL could do that itself, but follows redirects to any address, private ones too. Here every request goes through
`PatientClient`, which checks the address that it connects to, waits when asked to, and repeats what failed.
"""

from __future__ import annotations

import io
import re
from collections import OrderedDict

from placevec.errors import SourceError
from placevec.sources.http import Answer
from placevec.sources.imagery.signing import SignedAddress
from placevec.sources.patience import PatientClient
from placevec.sources.web_address import printable_address

PAGE = 2**16
"""Bytes of a page: what is requested and kept at least."""
MAX_READ = 2**27
"""Maximum bytes of one read, and of a file whose server does not answer ranges."""
KEPT_PAGES = 512
"""Pages kept of a file: its directory is read again and again, its pixels once."""
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


class RangeFile(io.RawIOBase):
    """A remote file for `rasterio.open`, through ``opener``.

    Args:
        url: its address.
        client: makes the requests.
        signer: address that signs the file's, see `signing`; None: the file needs no signature.

    Attributes:
        failed: the error of a request, which GDAL only sees as a short read; whoever reads through GDAL raises it.

    Raises:
        SourceError: it cannot be read.
    """

    def __init__(self, url: str, client: PatientClient, signer: str | None = None) -> None:
        super().__init__()
        self.url, self._client = url, client
        self._signed = None if signer is None else SignedAddress(url, signer, client)
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._at, self._size, self._version = 0, 0, ""
        self.failed: SourceError | None = None
        first = client.get(self._address(), {"Range": f"bytes=0-{PAGE - 1}"}, ok=(200, 206))
        self._version = _version(first)
        if first.status == 200:
            self._size = len(first.body)
            for start in range(0, self._size, PAGE):
                self._pages[start // PAGE] = first.body[start : start + PAGE]
            self._most = len(self._pages)
        else:
            self._size = self._checked(first, 0, None)
            self._pages[0] = first.body
            self._most = KEPT_PAGES

    def _address(self) -> str:
        return self.url if self._signed is None else self._signed.now()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position, which may lie after the end."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from the position on; none after the end, or once a request has failed."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if self.failed is not None or end <= self._at:
            return b""
        if end - self._at > MAX_READ:
            self.failed = SourceError(
                f"{printable_address(self.url)} would be read {end - self._at:,} bytes at a time, more than is allowed"
            )
            return b""
        try:
            found = self._read(self._at, end)
        except SourceError as error:
            self.failed = error
            return b""
        self._at += len(found)
        return found

    def _read(self, start: int, end: int) -> bytes:
        numbers = range(start // PAGE, (end - 1) // PAGE + 1)
        held = {number: self._pages[number] for number in numbers if number in self._pages}
        missing = [number for number in numbers if number not in held]
        while missing:
            run = [missing[0]]
            while len(run) < len(missing) and missing[len(run)] == run[-1] + 1:
                run.append(missing[len(run)])
            missing = missing[len(run) :]
            held |= self._fetched(run[0], run[-1] + 1)
        for number in numbers:
            self._pages[number] = held[number]
            self._pages.move_to_end(number)
        while len(self._pages) > max(self._most, 1):
            self._pages.popitem(last=False)
        first = numbers[0] * PAGE
        return b"".join(held[number] for number in numbers)[start - first : end - first]

    def _fetched(self, first: int, end: int) -> dict[int, bytes]:
        start, stop = first * PAGE, min(end * PAGE, self._size)
        answer = self._client.get(self._address(), {"Range": f"bytes={start}-{stop - 1}"}, ok=(206,))
        self._checked(answer, start, stop)
        return {first + at // PAGE: answer.body[at : at + PAGE] for at in range(0, stop - start, PAGE)}

    def _checked(self, answer: Answer, start: int, stop: int | None) -> int:
        """Size of the whole file; SourceError unless the answer is the requested part of the same file."""
        shown = printable_address(self.url)
        told = _RANGE.fullmatch(answer.headers.get("content-range", "").strip())
        if told is None:
            raise SourceError(f"{shown} returned part of the file without a Content-Range header")
        begins, ends, size = map(int, told.groups())
        wanted = min(PAGE, size) if stop is None else stop
        if begins != start or ends + 1 != wanted or len(answer.body) != wanted - start:
            raise SourceError(f"{shown} returned a different range than requested")
        if (stop is not None and size != self._size) or _version(answer) != self._version:
            raise SourceError(f"{shown} was replaced while it was read: run the same command again")
        return size


def _version(answer: Answer) -> str:
    return answer.headers.get("etag", "") or answer.headers.get("last-modified", "")
