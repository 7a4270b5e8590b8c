"""A pickle that tells on whoever opens it: unpickling creates a file."""

from __future__ import annotations

from pathlib import Path


def telltale(trace: Path) -> bytes:
    """A pickle (protocol 0) whose loading would make the file ``trace``."""
    program = f"import pathlib; pathlib.Path({str(trace)!r}).touch()"
    return b"c__builtin__\nexec\n(V" + program.encode() + b"\ntR."


def in_numpy_file(trace: Path) -> bytes:
    """A .npy file of objects, which numpy stores as a pickle."""
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    head += b" " * (117 - len(head)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + telltale(trace)
