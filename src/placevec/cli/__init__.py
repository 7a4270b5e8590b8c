"""The command line: one file a verb, each of which parses, calls `placevec.api` and prints.

Exit codes: 0 done, 1 the input or the machine did not allow it (one line says why), 2 wrong usage, 130 interrupted,
70 a fault of placevec itself.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence

from placevec.io.progress import printable

DEBUG = "PLACEVEC_DEBUG"
"""Environment variable: when set, errors come with their traceback."""

MAY_STAND_ALONE = {"--resume": "newest"}
"""Options with a value that may be left out, and what then stands for it."""


def with_dashes(arguments: Sequence[str]) -> list[str]:
    """``--near_m=5`` becomes ``--near-m=5``: underscores and dashes in option names are the same.

    Options that may stand alone get the value that this means: at the end, before another option, and before what is
    plainly not their value, a recipe or a dataset.

    >>> with_dashes(["train", "--near_m=5", "--out", "a_b"])
    ['train', '--near-m=5', '--out', 'a_b']
    >>> with_dashes(["train", "--resume", "--out", "run"])
    ['train', '--resume=newest', '--out', 'run']
    >>> with_dashes(["train", "--resume", "loc2vec", "data", "--out", "run"])[1]
    '--resume=newest'
    >>> with_dashes(["train", "loc2vec", "data", "--resume", "run/checkpoints/epoch-010"])[3:]
    ['--resume', 'run/checkpoints/epoch-010']
    """
    dashed: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*dashed, *arguments[position:]]
        name, equals, value = argument.partition("=")
        dashed.append(name.replace("_", "-") + equals + value if name.startswith("--") else argument)
        if dashed[-1] in MAY_STAND_ALONE and _stands_alone(arguments[position + 1 : position + 2]):
            dashed[-1] += f"={MAY_STAND_ALONE[dashed[-1]]}"
    return dashed


def _stands_alone(following: Sequence[str]) -> bool:
    """Whether the word after an option, if there is one, is not its value."""
    from placevec.recipes import RECIPES

    word = next(iter(following), "-")
    return word.startswith("-") or word in RECIPES or os.path.exists(os.path.join(word, "dataset.json"))


def _taken(arguments: Sequence[str]) -> str:
    """What to say of a word that was taken as the value of an option that may stand alone."""
    for option, word in itertools.pairwise(arguments):
        if option in MAY_STAND_ALONE and not word.startswith("-"):
            return f"; {word} was taken as the value of {option}: write {option} last where it stands alone"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for what a user can cause."""
    from placevec.errors import PlacevecError, UsageError

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(with_dashes(arguments))
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(f"{error} (see --help)", error, code=2)
    except PlacevecError as error:
        return _fail(str(error), error)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on where it was", None, code=130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        known = _machine_problem(error)
        if known is not None:
            return _fail(known, error)
        shown = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _fail(
            f"unexpected {shown[:300]}; this is a fault of placevec: please report it with what {DEBUG}=1 adds",
            error,
            code=70,
        )


def _machine_problem(error: Exception) -> str | None:
    """What the system or the memory would not do, in words; None for anything else."""
    from placevec.io.atomic import disk_advice, disk_problem

    text = str(error)
    where = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
    reason = disk_problem(error)
    if reason is not None and not isinstance(error, PermissionError):  # that may be about reading
        return f"cannot write{where}: {reason}; {disk_advice(error)}"
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return "out of memory; a smaller --batch-size or area needs less"
    return f"{error.strerror or error}{where}" if isinstance(error, OSError) else None


def _run(arguments: list[str]) -> int:
    import typer

    from placevec.cli.app import build_app

    command = typer.main.get_command(build_app())
    try:
        code = command.main(args=arguments, prog_name="placevec", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as end:
        return int(end.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):  # not one of click's usage errors
            raise
        return _fail(f"{error.format_message()}{_taken(arguments)} (see --help)", error, code=2)
    return int(code) if isinstance(code, int) else 0


def _fail(message: str, error: BaseException | None, code: int = 1) -> int:
    if error is not None and os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    line = " ".join(message.split())  # names in data may hold line breaks
    sys.stderr.write(f"placevec: {printable(line)}\n")
    return code
