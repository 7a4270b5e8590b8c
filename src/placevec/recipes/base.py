"""What a recipe registers: its options, its presets, and the paths of its functions. Nothing heavy is imported."""

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
    """Options of every training, in addition to the recipe's own."""

    GROUP: ClassVar[str] = "Run"

    preset: str = option("default", "Preset of options (default: the preset `default`)")
    validation: tuple[Path, ...] = option(
        (), "Dataset for validation, instead of held-out blocks (may be repeated)"
    )
    projector: int = option(
        500, "Number of places shown in TensorBoard's projector, drawn at random (0 disables it)", min=0
    )


Given = Mapping[str, Any]
"""Options by name."""


@dataclass(frozen=True)
class Preset:
    """A named set of options.

    Attributes:
        summary: one-line description.
        options: options of the recipe and of `TrainingOptions`, or a function that computes them from the given ones.
    """

    summary: str
    options: Given | Callable[[Given], Given] = field(default_factory=dict)


@dataclass(frozen=True)
class FormerFlag:
    """An option of an original system and its replacement: one row of its migration page.

    Attributes:
        flags: flags in the original spelling.
        here: the replacement, in Markdown; empty if none is needed.
        note: a remark, in Markdown.
    """

    flags: tuple[str, ...]
    here: str = ""
    note: str = ""


@dataclass(frozen=True)
class FormerCommand:
    """A command of an original system and its flags.

    Attributes:
        command: command in the original spelling.
        here: the replacement, in Markdown.
        verb: placevec's command that takes these flags, such as ``train``.
        flags: one row per flag, or per group of flags.
    """

    command: str
    here: str
    verb: str
    flags: tuple[FormerFlag, ...]


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe in the registry. Functions are given as ``module:function`` and imported when called.

    Attributes:
        name: name of the recipe.
        summary: what it learns from which data, in one line.
        config: options of training, in addition to `TrainingOptions`.
        prepare_options: options of preparing its dataset.
        prepare: ``(out, options, *, created, progress) -> Dataset``.
        build: ``(dataset, config, training, validation) -> Built``, with the given training options.
        presets: sets of options by name, including ``default``.
        positional: the option of preparing that can be given without a flag, if any.
        from_file: options that ``prepare`` needs for a file ``{path}``, for messages.
        completed: ``(given) -> given`` adds options that follow from the given ones, if any.
        encoders: ``(preset, given) -> [(name, given)]`` lists every encoder that can be compared with the others, with
            its options, if there are several.
        continued: ``(config, stored) -> config`` takes what a search chose from the stored options of a run that is
            resumed, if there is a search.
        suited: ``(dataset) -> given`` returns training options that suit a dataset, if any.
        lacking: ``(dataset) -> text`` names what must be prepared before training, if anything.
        former: a tuple of `FormerCommand`: options of the original systems.
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
    continued: str | None = None
    suited: str | None = None
    lacking: str | None = None
    former: str | None = None
    prepare_examples: tuple[str, ...] = ()
    train_examples: tuple[str, ...] = ()

    @property
    def train_options(self) -> tuple[type[Options], ...]:
        """The classes with the options of training it."""
        return self.config, TrainingOptions

    def prepared(self, out: Path, options: Options, *, created: str, progress: Progress) -> Dataset:
        """Prepare the recipe's dataset, or continue an unfinished one."""
        dataset: Dataset = _load(self.prepare)(out, options, created=created, progress=progress)
        return dataset

    def built(
        self,
        dataset: Dataset | JoinedDataset,
        config: Options,
        training: Given,
        validation: Dataset | JoinedDataset | None = None,
    ) -> Built:
        """The recipe on a dataset, ready for the training loop."""
        built: Built = _load(self.build)(dataset, config, training, validation)
        return built

    def prepare_options_of(
        self, given: Given, *, called: Called = flag_of, unknown: Called = no_option
    ) -> Options:
        """The options of preparing, from the given ones by keyword.

        Args:
            given: name -> value.
            called: how messages name an option.
            unknown: the message for an unknown option.

        Raises:
            UsageError: an unknown option, or an invalid value.
        """
        return self.prepare_options(**checked((self.prepare_options,), given, called=called, unknown=unknown))

    def configure(
        self, preset: str, given: Given, *, called: Called = flag_of, unknown: Called = no_option
    ) -> tuple[Options, dict[str, Any]]:
        """(recipe configuration, training options that are given or set by the preset); arguments as above.

        Raises:
            UsageError: an unknown preset or option, or an invalid value.
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

    def resumed(self, config: Options, stored: Given) -> Options:
        """The configuration with which a run is resumed, whose options are ``stored``."""
        found: Options = config if self.continued is None else _load(self.continued)(config, stored)
        return found

    def each_encoder(self, preset: str, given: Given) -> Sequence[tuple[str, Given]]:
        """(name, options) of every encoder that can be compared with the others; empty if there is only one."""
        return () if self.encoders is None else list(_load(self.encoders)(preset, given))

    def suits(self, dataset: Dataset) -> Given:
        """Training options that suit a dataset."""
        return {} if self.suited is None else dict(_load(self.suited)(dataset))

    def lacks(self, dataset: Dataset) -> str:
        """What must be prepared before a dataset can be trained on; empty if nothing is missing."""
        return "" if self.lacking is None else str(_load(self.lacking)(dataset))

    def former_commands(self) -> tuple[FormerCommand, ...]:
        """Options of the original systems."""
        return () if self.former is None else tuple(_load(self.former))


def _plain(preset: str) -> str:
    """A name without regard to case, spaces, hyphens and underscores."""
    return "".join(letter for letter in preset.lower() if letter not in " -_")


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PlacevecError(f"{name} of a recipe cannot be imported: {error}") from error
