"""Options, each declared once: its type, default, limits and help. Keyword, flag, check and reference page follow from
that.

If a recipe defines the options, they are fields of a dataclass (`fields`); if a function does, they are its keywords
(`keywords`). Both become an `Option`, which checks the given values.
"""

from placevec.options.fields import (
    Called,
    Options,
    checked,
    no_option,
    option,
    options_of,
    toml_options,
)
from placevec.options.hints import Limits, Reads
from placevec.options.keywords import checked_keywords, helps_of, keywords_of
from placevec.options.values import Option, default_of, described, flag_of

__all__ = [
    "Called",
    "Limits",
    "Option",
    "Options",
    "Reads",
    "checked",
    "checked_keywords",
    "default_of",
    "described",
    "flag_of",
    "helps_of",
    "keywords_of",
    "no_option",
    "option",
    "options_of",
    "toml_options",
]
