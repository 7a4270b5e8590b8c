"""Everything placevec raises on purpose. Messages say what is wrong and what to do about it."""

from collections.abc import Iterable

LONGEST_MESSAGE = 1000
"""Characters of a message; what quotes more of a file than that loses its middle."""


class PlacevecError(Exception):
    """Base of all errors a user can cause or repair; its message is one line, whatever it quotes.

    >>> str(PlacevecError("the file\\nis damaged"))
    'the file is damaged'
    """

    def __init__(self, message: str = "") -> None:
        line = " ".join(part.strip() for part in str(message).splitlines() if part.strip())
        half = LONGEST_MESSAGE // 2
        super().__init__(line if len(line) <= LONGEST_MESSAGE else f"{line[:half]} [...] {line[-half + 7 :]}")


class InputError(PlacevecError):
    """Something handed in cannot be used: a file, an option, a coordinate."""


class UsageError(InputError):
    """Asked for wrongly, whatever files hold: an unknown name, a value out of range, too many things. Exit code 2."""


class SourceError(InputError):
    """A source of the world (an OSM extract, a tile, a label table) is missing, damaged or not what it says."""


class AreaError(InputError):
    """A bounding box or polygon that is malformed, or outside of what it is asked of."""


class BoxError(AreaError, UsageError):
    """A bounding box was asked for that is none, whatever it is asked of. Exit code 2."""


class DatasetError(PlacevecError):
    """A dataset directory that is missing, incomplete, of another schema, or lacks what is asked of it."""


class ModelError(PlacevecError):
    """A model or checkpoint that cannot be loaded, or that does not fit the data."""


class EmbeddingsError(PlacevecError):
    """A table of vectors that is malformed, or vectors of two models about to be mixed."""


class OutputError(PlacevecError):
    """Something cannot be written where it should: a full or read-only disk, a folder that takes no files."""


class EvaluationError(PlacevecError):
    """A task that cannot be evaluated: too few places, blocks or classes."""


def other_schema(what: object, found: object, read: int, remedy: str) -> str:
    """The message about a file of another schema version: a newer one needs a newer placevec.

    >>> other_schema("data/city", 2, 1, "prepare it again")
    'data/city has schema 2, this placevec reads 1: a newer placevec made it; update placevec'
    """
    newer = isinstance(found, int) and not isinstance(found, bool) and found > read
    advice = "a newer placevec made it; update placevec" if newer else remedy
    return f"{what} has schema {str(found)[:20]}, this placevec reads {read}: {advice}"


_ELSEWHERE = {
    "angular": "cosine",
    "l2": "euclidean",
    "l1": "manhattan",
    "ip": "dot",
    "inner": "dot",
    "t-sne": "tsne",
}
"""What Annoy, FAISS and others call something -> what it is called here."""


def choose_from(wrong: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, and all of them.

    >>> choose_from("adm", ["adamw", "adam"])
    "did you mean 'adam'? Choose from adamw, adam"
    >>> choose_from("angular", ["cosine", "dot"])
    "did you mean 'cosine'? Choose from cosine, dot"
    """
    import difflib  # 5 ms, which most commands need not spend

    names = list(known)
    elsewhere = _ELSEWHERE.get(wrong.lower())
    near = [elsewhere] if elsewhere in names else difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
    return f"{hint} from {', '.join(names)}" if names else "there is none"


class MissingExtraError(PlacevecError):
    """An optional dependency is not installed; the message names the pip command that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; bring it with: pip install "placevec[{extra}]"')
