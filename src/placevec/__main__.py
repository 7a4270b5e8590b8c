"""``python -m placevec``: the command line."""

import sys

from placevec.cli import main

sys.exit(main())
