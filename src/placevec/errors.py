"""Everything placevec raises on purpose. Messages say what is wrong and what to do about it."""


class PlacevecError(Exception):
    """Base of all errors a user can cause or repair; the command line prints it as one line."""


class InputError(PlacevecError):
    """Something handed in cannot be used: a file, an option, a coordinate."""


class SourceError(InputError):
    """A source of the world (an OSM extract, a tile, a label table) is missing, damaged or not what it says."""


class AreaError(InputError):
    """A bounding box or polygon that is malformed, or outside of what it is asked of."""


class DatasetError(PlacevecError):
    """A dataset directory that is missing, incomplete, of another schema, or lacks what is asked of it."""


class ModelError(PlacevecError):
    """A model or checkpoint that cannot be loaded, or that does not fit the data."""


class EmbeddingsError(PlacevecError):
    """A table of vectors that is malformed, or vectors of two models about to be mixed."""


class EvaluationError(PlacevecError):
    """A task that cannot be evaluated: too few places, blocks or classes."""


class MissingExtraError(PlacevecError):
    """An optional dependency is not installed; the message names the pip command that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; bring it with: pip install "placevec[{extra}]"')
