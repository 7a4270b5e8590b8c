"""A mount namespace of a process's own (Linux): small disks and read-only folders that nobody else sees."""

from __future__ import annotations

import ctypes
import os
import sys

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000  # linux/sched.h
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18  # sys/mount.h


def _call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    _call(
        "mount",
        source.encode(),
        target.encode(),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if data is None else data.encode(),
    )


def enter() -> str:
    """Leave the common mounts for good; why that is impossible, or an empty text. Before any thread starts."""
    if sys.platform != "linux":
        return "mount namespaces are Linux's"
    user, group = os.getuid(), os.getgid()
    try:
        if user == 0:
            _call("unshare", _NEW_MOUNTS)
        else:  # a user namespace gives the right to mount
            _call("unshare", _NEW_MOUNTS | _NEW_USER)
            for name, content in (
                ("setgroups", "deny"),
                ("uid_map", f"0 {user} 1"),
                ("gid_map", f"0 {group} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(content)
        _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    except OSError as error:
        return f"this system lets no test mount anything ({error.strerror})"
    return ""


def small_disk(folder: str, kilobytes: int) -> None:
    """An empty disk of that size at ``folder``; called again, the same disk with another size."""
    is_there = os.path.ismount(folder)
    _mount("tmpfs", folder, "tmpfs", _REMOUNT if is_there else 0, f"size={kilobytes}k")


def read_only(folder: str) -> None:
    """``folder`` becomes a read-only mount of itself."""
    _mount(folder, folder, None, _BIND)
    _mount(folder, folder, None, _BIND | _REMOUNT | _READ_ONLY)


def release(folder: str) -> None:
    """Undo the two above."""
    _call("umount2", folder.encode(), 2)  # lazily: whatever is still open may end
