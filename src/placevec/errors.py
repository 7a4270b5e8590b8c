"""Every error that placevec raises on purpose. Messages say what is wrong, where, and what to do."""

from collections.abc import Iterable

LONGEST_MESSAGE = 1000
"""Maximum characters of a message; longer ones lose their middle."""


class PlacevecError(Exception):
    """Base class of all errors that a user can cause or fix. The message is always a single line.

    >>> str(PlacevecError("the file\\nis damaged"))
    'the file is damaged'
    """

    def __init__(self, message: str = "") -> None:
        line = " ".join(part.strip() for part in str(message).splitlines() if part.strip())
        half = LONGEST_MESSAGE // 2
        super().__init__(line if len(line) <= LONGEST_MESSAGE else f"{line[:half]} [...] {line[-half + 7 :]}")


class InputError(PlacevecError):
    """Invalid input: a file, an option, a coordinate."""


class UsageError(InputError):
    """Wrong usage, whatever the files contain: an unknown name or a value out of range. Exit code 2.

    >>> issubclass(UsageError, InputError), issubclass(InputError, PlacevecError)
    (True, True)
    """


class SourceError(InputError):
    """A source (an OSM extract, a tile, a table of labels) is missing, damaged or of another type than stated."""


class AreaError(InputError):
    """A bounding box or polygon is malformed, or lies outside the data."""


class BoxError(AreaError, UsageError):
    """A malformed bounding box, whatever the data. Exit code 2."""


class DatasetError(PlacevecError):
    """A dataset directory is missing, incomplete or of another schema, or lacks the requested part."""


class ModelError(PlacevecError):
    """A model or checkpoint cannot be loaded, or does not fit the data."""


class EmbeddingsError(PlacevecError):
    """A table of vectors is malformed, or vectors of two models would be mixed."""


class OutputError(PlacevecError):
    """Output cannot be written: the disk is full or read-only, or the folder is not writable."""


class EvaluationError(PlacevecError):
    """A task cannot be evaluated: too few places, blocks or classes."""


def other_schema(what: object, found: object, read: int, remedy: str) -> str:
    """The message for a file with another schema version. A newer version needs a newer placevec.

    >>> other_schema("data/city", 2, 1, "prepare it again")
    'data/city has schema 2, but this placevec reads schema 1: a newer placevec made it; update placevec'
    """
    newer = isinstance(found, int) and not isinstance(found, bool) and found > read
    advice = "a newer placevec made it; update placevec" if newer else remedy
    return f"{what} has schema {str(found)[:20]}, but this placevec reads schema {read}: {advice}"


_ELSEWHERE = {
    "l2": "euclidean",
    "l1": "manhattan",
    "ip": "dot",
    "inner": "dot",
    "t-sne": "tsne",
}
"""What Annoy, FAISS and others call something -> what it is called here."""


def choose_from(wrong: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known name, and all known names.

    >>> choose_from("adm", ["adamw", "adam"])
    "did you mean 'adam'? Choose from adamw, adam"
    >>> choose_from("l2", ["cosine", "euclidean"])
    "did you mean 'euclidean'? Choose from cosine, euclidean"
    """
    import difflib  # 5 ms, which most commands do not need

    names = list(known)
    elsewhere = _ELSEWHERE.get(wrong.lower())
    near = [elsewhere] if elsewhere in names else difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
    return f"{hint} from {', '.join(names)}" if names else "none are available"


class PackageError(PlacevecError):
    """A fault in the code of another package that extends placevec; the message names the package."""


class MissingExtraError(PlacevecError):
    """An optional dependency is not installed. The message gives the pip command that installs it.

    >>> str(MissingExtraError("streamlit", "app"))
    'streamlit is not installed; install it with: pip install "placevec[app]"'
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; install it with: pip install "placevec[{extra}]"')
