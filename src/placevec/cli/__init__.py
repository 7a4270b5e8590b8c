"""The command line: one file a verb, each of which parses, calls `placevec.api` and prints.

Exit codes: 0 done, 1 the input or the machine did not allow it (one line says why), 2 wrong usage, 130 interrupted,
70 a fault of placevec itself or of a package that extends it.
"""

from placevec.cli.main import main

__all__ = ["main"]
