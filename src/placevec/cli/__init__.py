"""The command line: one module per command, each of which parses options, calls `placevec.api` and prints.

Exit codes: 0 success, 1 the input or the machine did not allow it (one line says why), 2 wrong usage, 130 interrupted,
70 a bug in placevec or in a package that extends it.
"""

from placevec.cli.main import main

__all__ = ["main"]
