"""What a recipe registers: its options, its presets, and where its functions are. Light: nothing heavy is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from placevec.errors import PlacevecError, UsageError, choose_from
from placevec.options import Called, Options, checked, flag_of, no_option, option, options_of
from placevec.training.options import TrainingOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.joined import JoinedDataset
    from placevec.io.progress import Progress
    from placevec.recipes.built import Built


@dataclass(frozen=True)
class RunOptions(Options):
    """What is trained beside the recipe's own choices: options of every training."""

    GROUP: ClassVar[str] = "Run"

    preset: str = option("default", "Preset, options that go together")
    validation: tuple[Path, ...] = option(
        (), "Dataset to validate on, instead of blocks held out (may be repeated)"
    )
    projector: int = option(500, "Places in TensorBoard's projector, drawn at random (0 shows none)", min=0)


Given = Mapping[str, Any]
"""Options by name."""


@dataclass(frozen=True)
class Preset:
    """Options that go together.

    Attributes:
        summary: what they are, in a line.
        options: of the recipe and of `TrainingOptions`; or a function that makes them of the options that were given.
    """

    summary: str
    options: Given | Callable[[Given], Given] = field(default_factory=dict)


@dataclass(frozen=True)
class Formerly:
    """What a founding system called something, and what it is here: a line of a page for those who come from there.

    Attributes:
        flags: as the system spells them.
        here: what takes their place, in Markdown; empty where nothing needs to.
        note: a remark, in Markdown.
    """

    flags: tuple[str, ...]
    here: str = ""
    note: str = ""


@dataclass(frozen=True)
class FormerCommand:
    """A command of a founding system and its flags.

    Attributes:
        command: as the system spells it.
        here: what takes its place, in Markdown.
        verb: of placevec that takes these flags, such as ``train``.
        flags: one line a flag, or several that go together.
    """

    command: str
    here: str
    verb: str
    flags: tuple[Formerly, ...]


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe as the registry knows it. Functions are named ``module:function`` and imported when they are called.

    Attributes:
        name: of the recipe.
        summary: what it learns from what, in a line.
        config: its options in training, beside `TrainingOptions`.
        prepare_options: the options of preparing its dataset.
        prepare: ``(out, options, *, created, progress) -> Dataset``.
        build: ``(dataset, config, training, validation) -> Built``, with the training options that were given.
        presets: options that go together, by name; ``default`` is one of them.
        positional: the option of preparing that may be given without a flag, if any.
        from_file: what ``prepare`` needs to be told of a file ``{path}``, for messages.
        completed: ``(given) -> given`` with what follows from the options that were given, if anything does.
        encoders: ``(preset, given) -> [(name, given)]``: every encoder that can be compared with the others, with the
            options that it takes, if there are several.
        suited: ``(dataset) -> given``: options of training that suit a dataset, if any do.
        formerly: a tuple of `FormerCommand`: what founding systems called the options.
        prepare_examples, train_examples: commands for the help.
    """

    name: str
    summary: str
    config: type[Options]
    prepare_options: type[Options]
    prepare: str
    build: str
    presets: Mapping[str, Preset] = field(
        default_factory=lambda: {"default": Preset("the defaults of all options")}
    )
    positional: str | None = None
    from_file: str = "{path}"
    completed: str | None = None
    encoders: str | None = None
    suited: str | None = None
    formerly: str | None = None
    prepare_examples: tuple[str, ...] = ()
    train_examples: tuple[str, ...] = ()

    @property
    def train_options(self) -> tuple[type[Options], ...]:
        """The classes whose fields are the options of training it."""
        return self.config, TrainingOptions

    def prepared(self, out: Path, options: Options, *, created: str, progress: Progress) -> Dataset:
        """Make the recipe's dataset, or go on with it."""
        dataset: Dataset = _load(self.prepare)(out, options, created=created, progress=progress)
        return dataset

    def built(
        self,
        dataset: Dataset | JoinedDataset,
        config: Options,
        training: Given,
        validation: Dataset | JoinedDataset | None = None,
    ) -> Built:
        """The recipe over a dataset, ready for the training loop."""
        built: Built = _load(self.build)(dataset, config, training, validation)
        return built

    def prepare_options_of(
        self, given: Given, *, called: Called = flag_of, unknown: Called = no_option
    ) -> Options:
        """The options of preparing from those that were given, by keyword.

        Args:
            given: name -> value.
            called: how messages name an option.
            unknown: the message about an option that there is not.

        Raises:
            UsageError: an unknown one, or a value that does not fit.
        """
        return self.prepare_options(**checked((self.prepare_options,), given, called=called, unknown=unknown))

    def configure(
        self, preset: str, given: Given, *, called: Called = flag_of, unknown: Called = no_option
    ) -> tuple[Options, dict[str, Any]]:
        """(recipe configuration, training options that were given or are the preset's); arguments as before.

        Raises:
            UsageError: an unknown preset or option, or a value that does not fit.
        """
        named = {_plain(name): name for name in self.presets}
        if _plain(preset) not in named:
            raise UsageError(f"--preset {preset[:60]!r} is unknown: {choose_from(preset, self.presets)}")
        found = checked(self.train_options, given, called=called, unknown=unknown)
        if self.completed is not None:
            found = dict(_load(self.completed)(found))
        options = self.presets[named[_plain(preset)]].options
        chosen = {**(options(found) if callable(options) else options), **found}
        training = {one.name for one in options_of(TrainingOptions)}
        config = self.config(**{name: value for name, value in chosen.items() if name not in training})
        return config, {name: value for name, value in chosen.items() if name in training}

    def each_encoder(self, preset: str, given: Given) -> Sequence[tuple[str, Given]]:
        """(name, options) of every encoder that can be compared with the others; none where there is one only."""
        return () if self.encoders is None else list(_load(self.encoders)(preset, given))

    def suits(self, dataset: Dataset) -> Given:
        """Options of training that suit a dataset."""
        return {} if self.suited is None else dict(_load(self.suited)(dataset))

    def former_commands(self) -> tuple[FormerCommand, ...]:
        """What founding systems called the options."""
        return () if self.formerly is None else tuple(_load(self.formerly))


def _plain(preset: str) -> str:
    """A name in which capitals, spaces, hyphens and underscores do not matter."""
    return "".join(letter for letter in preset.lower() if letter not in " -_")


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PlacevecError(f"{name} of a recipe cannot be imported: {error}") from error
