"""`main`: runs one command, and reports errors in one line."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence

from placevec.cli.output import logs_json
from placevec.errors import PackageError, PlacevecError, UsageError
from placevec.io.progress import JsonLines, printable

DEBUG = "PLACEVEC_DEBUG"
"""Environment variable that adds tracebacks to errors."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for errors that a user can cause."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    try:
        with _interrupted_by_sigterm(), _own_lines_only():
            code = _run(words)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(str(error), error, code=2)
    except PackageError as error:
        return _fail(str(error), error, code=70)
    except PlacevecError as error:
        return _fail(str(error), error)
    except KeyboardInterrupt as error:
        code = 143 if isinstance(error, _Terminated) else 130
        return _fail(f"interrupted; {_to_continue(words)}", None, code=code)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        known = _machine_problem(error, words)
        if known is not None:
            return _fail(known, error)
        return _fail(_unexpected(error), error, code=70)


def _open_streams() -> None:
    """Standard streams that take any text: what their encoding lacks is escaped, and closed ones lead nowhere."""
    for name in ("stdin", "stdout", "stderr"):
        if (
            getattr(sys, name) is None
        ):  # the lowest free descriptor is theirs, which another file must not get
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _own_lines_only() -> Iterator[None]:
    """Keep warnings and log lines of libraries from standard error, unless tracebacks are asked for."""
    if os.environ.get(DEBUG) or sys.warnoptions:
        yield
        return
    last, level = logging.lastResort, logging.CRITICAL
    before = logging.NOTSET if last is None else last.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if last is not None:
            last.setLevel(level)
        try:
            yield
        finally:
            if last is not None:
                last.setLevel(before)


def _to_continue(words: Sequence[str]) -> str:
    """How to go on after an interruption."""
    if words[:1] == ["train"]:
        return "run the same command with --resume to continue"
    return "run the same command again"


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: temporary files are removed, and finished parts stay."""

    def stop(*_: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # others may not set what signals do
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from placevec.cli.app import build_app

    app = build_app(words)
    try:
        command, bound, _ = app.parse_args(_with_help(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        from placevec.cli.wrong_usage import message

        raise UsageError(message(error, words)) from error
    code = command(*bound.args, **bound.kwargs)
    return code if isinstance(code, int) else 0


def _with_help(words: list[str]) -> list[str]:
    """Turn a command on its own into a request for its help, unless it needs no arguments."""
    from placevec.cli.app import VERBS

    alone = len(words) == 1 and words[0] in VERBS and words[0] not in ("demo", "doctor")
    return [*words, "--help"] if alone else words


def _unexpected(error: Exception) -> str:
    """The message for an unexpected error, and where to report it."""
    from placevec.plugins import fault_of

    shown = f"unexpected {type(error).__name__}" + (f": {error}"[:300] if str(error) else "")
    if (where := fault_of(error)) is not None:
        return (
            f"{shown}; it comes from {where}: please report it there, with the traceback that {DEBUG}=1 adds"
        )
    return f"{shown}; this is a bug in placevec: please report it, with the traceback that {DEBUG}=1 adds"


def _machine_problem(error: Exception, words: Sequence[str]) -> str | None:
    """The problem of the system or the memory, in words; None for any other error."""
    from placevec.io.atomic import disk_advice, disk_problem

    if isinstance(error, UnicodeError) and any(not _is_unicode(word) for word in words):
        return "a path is not valid UTF-8, which formats and libraries require: rename its folder or file"
    text = str(error)
    where = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
    reason = disk_problem(error)
    if reason is not None and not isinstance(error, PermissionError):  # which can also concern reading
        return f"cannot write{where}: {reason}; {disk_advice(error)}"
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return "out of memory; use a smaller --batch-size or area"
    return f"{error.strerror or error}{where}" if isinstance(error, OSError) else None


def _is_unicode(text: str) -> bool:
    """Whether a word of the command line is text, without bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(message: str, error: BaseException | None, code: int = 1) -> int:
    if error is not None and os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    line = " ".join(message.split())  # names in data can contain line breaks
    if logs_json():
        JsonLines().write("error", line, level="error", code=code)
    else:
        sys.stderr.write(f"placevec: {printable(line)}\n")
    return code
