"""Writes the command line's page in Chinese: the English page, each text replaced by its Chinese in ``zh/cli.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

CATALOGUE = Path(__file__).parent / "zh" / "cli.toml"
_ITEM = re.compile(r"\* (?P<code>`.+?`)(?:: (?P<text>.+?))?(?:  \[(?P<notes>.+)\])?")
_CUT = "..."  # ends what a list of commands shows of a long sentence


def catalogue() -> dict[str, str]:
    """The Chinese of every text of the page."""
    tables = tomllib.loads(CATALOGUE.read_text("utf-8"))
    return {english: chinese for table in tables.values() for english, chinese in table.items()}


class Page:
    """The page, line by line.

    Attributes:
        used: The English texts that were replaced.
    """

    def __init__(self, words: Mapping[str, str]):
        self.used: set[str] = set()
        self._words = words

    def lines(self, english: str) -> Iterator[str]:
        """The Chinese lines of an English page.

        Raises:
            LookupError: A text has no Chinese.
        """
        code = False
        for line in english.splitlines():
            code ^= line.startswith("```")
            if code or not line or line.startswith(("```", "    ", "## ", "### ")):
                yield line
            elif item := _ITEM.fullmatch(line):
                text = f"：{self._say(item['text'])}" if item["text"] else ""
                notes = f"（{'；'.join(map(self._note, item['notes'].split('; ')))}）" if item["notes"] else ""
                yield f"* {item['code']}{text}{notes}"
            else:
                yield self._say(line)

    def _say(self, text: str) -> str:
        """The Chinese of a text; of a command's first sentence, which may be cut, the first sentence."""
        keys = (
            [text] if text in self._words else [key for key in self._words if key.startswith(text.removesuffix(_CUT))]
        )
        if len(keys) != 1:
            problem = f"the Chinese of {len(keys)} texts" if keys else "no Chinese"
            raise LookupError(f"{CATALOGUE.name} has {problem} for {text!r}; expected a line {text!r} = '...'.")
        if keys == [text]:
            self.used.add(text)
            return self._words[text]
        return self._words[keys[0]].partition("。")[0] + "。"

    def _note(self, note: str) -> str:
        """A note in brackets: a bound, `required`, or a default, which is a value or words in brackets."""
        if re.fullmatch(r"[-\d.]*<?=?x[<>]=?[-\d.]+", note):
            return note
        if not note.startswith("default: "):
            return self._say(note)
        value = note.removeprefix("default: ")
        return self._say("default: ") + (self._say(value) if value.startswith("(") else value)


def cli_page(english: str) -> str:
    """The Chinese page of the commands.

    Raises:
        LookupError: A text has no Chinese, or the Chinese of a text that the page does not have.
    """
    words = catalogue()
    page = Page(words)
    text = "\n".join(page.lines(english)) + "\n"
    if unused := sorted(words.keys() - page.used):
        raise LookupError(f"{CATALOGUE.name} has Chinese for texts that docs/cli.md does not have: {unused}.")
    return text
