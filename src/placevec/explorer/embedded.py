"""Data embedded in pages: JSON and bytes that cannot break out of their ``<script>`` block."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def embeddable_json(content: Any) -> str:
    r"""JSON that is safe inside a ``<script>`` block: ``< > &``, U+2028, U+2029 and lone surrogates are escaped.

    >>> embeddable_json("</script>&")
    '"\\u003c/script\\u003e\\u0026"'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def base64_of(content: NDArray[Any] | bytes) -> str:
    """Base64 of bytes, or of an array's values in little-endian order.

    >>> base64_of(np.array([1, 2], np.int16))
    'AQACAA=='
    """
    if isinstance(content, np.ndarray):
        content = np.ascontiguousarray(content, content.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(content).decode("ascii")
