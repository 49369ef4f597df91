"""Generated pages and pictures in Chinese: the English ones, each text replaced by its Chinese in ``zh/*.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from html import escape, unescape
from pathlib import Path

HERE = Path(__file__).parent / "zh"
_ITEM = re.compile(r"\* (?P<code>`.+?`)(?:: (?P<text>.+?))?(?:  \[(?P<notes>.+)\])?")
_NOTES = re.compile(r"; (?![^(]*\))")  # between notes, not within brackets
_CUT = "..."  # ends what a list of commands shows of a long sentence
_WORD = re.compile(r"(?<!\w)[a-z]{3,}(?![\w(])|: ")  # what formulas and names of options do not have


class Catalogue:
    """The Chinese of English texts.

    Args:
        name: A file of ``docs/zh``.
    """

    def __init__(self, name: str):
        tables = tomllib.loads((HERE / name).read_text("utf-8"))
        self._name = name
        self._words = {english: chinese for table in tables.values() for english, chinese in table.items()}
        self._used: set[str] = set()

    def say(self, text: str) -> str:
        """The Chinese of a text.

        Raises:
            LookupError: It has none.
        """
        if text not in self._words:
            raise LookupError(f"docs/zh/{self._name} has no Chinese for {text!r}; expected a line {text!r} = '...'.")
        self._used.add(text)
        return self._words[text]

    def say_beginning(self, text: str) -> str:
        """The first sentence of the Chinese of a text whose first sentence is given, perhaps cut.

        Raises:
            LookupError: No text begins in this way, or several do.
        """
        found = [key for key in self._words if key.startswith(text.removesuffix(_CUT))]
        if len(found) != 1:
            raise LookupError(f"docs/zh/{self._name} has {len(found)} texts that begin with {text!r}; expected one.")
        return self._words[found[0]].partition("。")[0] + "。"

    def check_all_used(self) -> None:
        """Refuses Chinese that nothing used.

        Raises:
            LookupError: There is some.
        """
        if unused := sorted(self._words.keys() - self._used):
            raise LookupError(f"docs/zh/{self._name} has Chinese for texts that do not exist: {unused}; remove it.")


def cli_page(english: str) -> str:
    """The page of the commands in Chinese.

    Raises:
        LookupError: A text has no Chinese, or the Chinese of a text that the page does not have.
    """
    words = Catalogue("cli.toml")
    text = "\n".join(_lines(english, words)) + "\n"
    words.check_all_used()
    return text


def _lines(english: str, words: Catalogue) -> Iterator[str]:
    code, commands = False, False
    for line in english.splitlines():
        code ^= line.startswith("```")
        if code or not line or line.startswith(("```", "    ", "## ", "### ")):
            yield line
        elif item := _ITEM.fullmatch(line):
            say = words.say_beginning if commands else words.say
            text = f"：{say(item['text'])}" if item["text"] else ""
            notes = "；".join(_note(note, words) for note in _NOTES.split(item["notes"])) if item["notes"] else ""
            yield f"* {item['code']}{text}" + (f"（{notes}）" if notes else "")
        else:
            commands = line == "**Commands**:"
            yield words.say(line)


def _note(note: str, words: Catalogue) -> str:
    """A note in brackets: a bound, `required`, or a default, which is a value or words in brackets."""
    if re.fullmatch(r"[-\d.]*<?=?x[<>]=?[-\d.]+", note):
        return note
    if not note.startswith("default: "):
        return words.say(note)
    value = note.removeprefix("default: ")
    return words.say("default: ") + (words.say(value) if value.startswith("(") else value)


def pictures(english: Mapping[str, str]) -> dict[str, str]:
    """The pictures in Chinese, by their names: the texts of the English ones replaced, formulas kept.

    Raises:
        LookupError: A text has no Chinese, or the Chinese of a text that no picture has.
    """
    words = Catalogue("pictures.toml")

    def translated(match: re.Match[str]) -> str:
        text = unescape(match[2])
        if match[1].startswith("<desc"):
            text = "".join(words.say(sentence) for sentence in re.split(r"(?<=\.) (?=[A-Z])", text))
        elif match[1].startswith("<title") or _WORD.search(text):
            text = words.say(text)
        return match[1] + escape(text) + match[3]

    found = {
        name: re.sub(r"(<(?:title|desc|text)\b[^>]*>)([^<]+)(</)", translated, svg).replace(
            "<svg ", '<svg lang="zh-CN" '
        )
        for name, svg in english.items()
    }
    words.check_all_used()
    return found
