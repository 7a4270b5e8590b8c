"""Sentences around the names of places, by language and type, from ``default.toml`` or a file of the user.

The format is explained at the top of ``default.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any

from placevec.errors import InputError
from placevec.io.files import read_text

DEFAULT, FOUNDING = "default", "founding"
NAME, ALIASES, TYPE, DESCRIPTION = "name", "aliases", "type", "description"
PARTS = (NAME, ALIASES, TYPE, DESCRIPTION)
MAX_TEMPLATES, MAX_CHARACTERS = 10_000, 500
_BUILTIN = {DEFAULT: "default.toml", FOUNDING: "founding.toml"}
_A = re.compile(r"(?:^|\s)[Aa] $")
_LANGUAGE = re.compile(r"[a-z]{2,12}(-[A-Za-z0-9]{1,12})*")


@dataclass(frozen=True)
class Sentence:
    """One template.

    Attributes:
        text: with ``{name}`` and what else it asks for.
        language: of the names that it fits; None fits all.
        types: groups or types that it fits; empty fits all.
    """

    text: str
    language: str | None = None
    types: tuple[str, ...] = ()

    @cached_property
    def asks(self) -> frozenset[str]:
        """The parts that it is made of.

        >>> sorted(Sentence("a {type} called {name}").asks)
        ['name', 'type']
        """
        return frozenset(part for _, part, _, _ in Formatter().parse(self.text) if part)

    def fits(self, kind: str) -> bool:
        """Whether it fits a type, ``group/leaf``; empty where that is not known.

        >>> [Sentence("{name}", None, ("water",)).fits(kind) for kind in ("water/lake", "place/town", "")]
        [True, False, False]
        """
        return not self.types or kind in self.types or kind.partition("/")[0] in self.types

    def filled(self, parts: Mapping[str, str]) -> str:
        """The sentence; names stay as they are, whatever is in them.

        >>> Sentence("a {type} called {name}", "en").filled({"type": "island", "name": "{type}"})
        'an island called {type}'
        """
        said = ""
        for literal, part, _, _ in Formatter().parse(self.text):
            before, put = said + literal, parts[part] if part else ""
            if part == TYPE and self.language == "en" and _A.search(before) and put[:1].lower() in "aeio":
                before = f"{before[:-1]}n "
            said = before + put
        return said


@dataclass(frozen=True)
class Templates:
    """Sentences, and words for types in some languages.

    >>> found = Templates.of("default")
    >>> found.word("water/river", "fi"), found.word("road/service", "fi"), found.word("water/bay", "fi")
    ('joki', 'tie', '')
    """

    sentences: tuple[Sentence, ...]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str | Path) -> Templates:
        """Templates by name (``default``, or ``founding`` with the templates of the original system), or from a TOML
        file.

        Raises:
            InputError: it cannot be read; the message names the entry.
        """
        path = Path(__file__).with_name(_BUILTIN[str(name)]) if str(name) in _BUILTIN else Path(name)
        try:
            content = tomllib.loads(read_text(path, "file of templates"))
        except OSError as error:
            raise InputError(
                f"cannot read the templates {path}: {error.strerror}; give a TOML file, {DEFAULT} or {FOUNDING}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"the templates {path} are not TOML: {error}") from error
        return _parsed(content, str(path))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that there are sentences for.

        >>> Templates.of("default").languages[:4]
        ('en', 'fr', 'de', 'uk')
        """
        return tuple(dict.fromkeys(one.language for one in self.sentences if one.language))

    def word(self, kind: str, language: str) -> str:
        """A type ``group/leaf`` in words of a language: its own, or those of the whole group; else empty.

        >>> Templates.of("default").word("leisure/park", "uk")
        'парк'
        """
        own = self.words.get(language, {})
        return own.get(kind) or own.get(f"{kind.partition('/')[0]}/*", "")

    def fitting(self, kind: str, language: str | None) -> tuple[Sentence, ...]:
        """Sentences for a name of a type and a language; those of all languages where it has none.

        >>> [one.text for one in Templates.of("founding").fitting("forest", "fr")][1]
        'a forest called {name}'
        """
        return tuple(
            one
            for one in self.sentences
            if one.fits(kind) and (language is None or one.language is None or one.language == language)
        )


def _parsed(content: Mapping[str, Any], source: str) -> Templates:
    entries, words, extends = content.get("template"), content.get("words", {}), content.get("extends")
    if set(content) - {"template", "words", "extends"} or not isinstance(entries, list) or not entries:
        raise InputError(
            f'{source}: templates must be a list of [[template]] entries, [words.xx] and extends = "{DEFAULT}"'
        )
    if extends not in (None, DEFAULT, FOUNDING):
        raise InputError(f"{source}: extends must be {DEFAULT!r} or {FOUNDING!r}; got {extends!r}")
    found = [
        one
        for number, entry in enumerate(entries, 1)
        for one in _sentences(entry, f"{source}: template {number}")
    ]
    if len(found) > MAX_TEMPLATES:
        raise InputError(
            f"{source}: there are {len(found):,} sentences; at most {MAX_TEMPLATES:,} are allowed"
        )
    if not isinstance(words, dict) or not all(
        isinstance(own, dict) and all(_is_short(one) for one in own.values()) for own in words.values()
    ):
        raise InputError(f"{source}: [words.xx] must hold short texts by type, such as water = 'vesi'")
    before = Templates.of(extends) if extends else Templates(())
    both = {**before.words}
    for language, own in words.items():
        both[language] = {**both.get(language, {}), **own}
    return Templates((*found, *before.sentences), both)


def _sentences(entry: Any, at: str) -> list[Sentence]:
    if not isinstance(entry, dict) or set(entry) - {"language", "types", "texts"}:
        raise InputError(f"{at}: its fields must be language, types and texts")
    language, types, texts = entry.get("language"), entry.get("types", []), entry.get("texts")
    if language is not None and not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
        raise InputError(f"{at}: language must be a code such as fi; got {language!r}")
    if not isinstance(types, list) or not all(map(_is_short, types)):
        raise InputError(f'{at}: types must be a list such as ["water", "water/river"]')
    if not isinstance(texts, list) or not texts:
        raise InputError(f"{at}: texts must be a list of sentences with {{name}}")
    return [Sentence(_checked(text, at), language, tuple(types)) for text in texts]


def _checked(text: Any, at: str) -> str:
    if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_CHARACTERS:
        raise InputError(
            f"{at}: a sentence must be a string of at most {MAX_CHARACTERS} characters; got {repr(text)[:60]}"
        )
    try:
        asked = [
            part for _, part, form, how in Formatter().parse(text) if part is not None and not (form or how)
        ]
        plain = [part for _, part, _, _ in Formatter().parse(text) if part is not None]
    except ValueError as error:
        raise InputError(f"{at}: {text!r}: {error}") from error
    if asked != plain or NAME not in asked or set(asked) - set(PARTS):
        raise InputError(
            f"{at}: a sentence must have {{name}}, and may have {{aliases}}, {{type}} and {{description}}; got "
            f"{text!r}"
        )
    return text


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable() and len(value) <= 100
