"""The code and the docs do not use the phrases in the left column of CONTRIBUTING's word list."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## Plain English: words we use"
PYTHON = sorted(
    path for folder in ("src/holdfast", "benchmarks", "examples", "docs") for path in (ROOT / folder).rglob("*.py")
)
OTHER = sorted(
    [*ROOT.glob("native/*.*"), *ROOT.glob("src/holdfast/**/*.pyi"), *ROOT.glob("src/holdfast/recipes/*.toml")]
)
DOCS = {*ROOT.glob("docs/**/*.md")} - {*ROOT.glob("docs/zh/**/*.md")}
PAGES = sorted([ROOT / "CONTRIBUTING.md", ROOT / "README.md", *DOCS])
FILES = [*PYTHON, *OTHER, *PAGES]


def phrases() -> list[str]:
    """The phrases in code style in the left column of the word list."""
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    rows = re.search(r"^\| instead of \| write \|\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows
    return [phrase for row in rows[1].splitlines() for phrase in re.findall(r"`([^`]+)`", row.split("|")[1])]


def pattern(phrase: str) -> re.Pattern[str]:
    """A phrase as a regular expression: ``*`` is one word, a comma at the end any punctuation mark."""
    words = phrase.removesuffix(",").split()
    body = r"\s+".join(r"[\w'-]+" if word == "*" else re.escape(word) for word in words)
    end = r"(?=[.,;:)])" if phrase.endswith(",") else r"\b"
    return re.compile(rf"\b{body}{end}", re.IGNORECASE)


PATTERNS = {phrase: pattern(phrase) for phrase in phrases()}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The prose of a file, in pieces with the numbers of their first lines: strings and comments, or the whole page."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from ((node.lineno, node.value) for node in ast.walk(ast.parse(text)) if is_text(node))
        yield from comments(text)
    elif path.suffix == ".md":
        yield 1, text.partition(HEADING)[0] + re.sub(r"^.*?\n(?=## |\Z)", gap, text.partition(HEADING)[2], flags=re.S)
    else:
        yield 1, re.sub(r"^[ \t]*(?://+|#)", " ", text, flags=re.MULTILINE)


def gap(match: re.Match[str]) -> str:
    """Blank lines instead of the word list, which contains its own phrases."""
    return "\n" * match[0].count("\n")


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def comments(text: str) -> Iterator[tuple[int, str]]:
    """The comments of a Python file, those on consecutive lines together."""
    block, start, last = "", 0, -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield start, block
                block, start = "", token.start[0]
            block, last = f"{block}{token.string.lstrip('#')}\n", token.start[0]
    yield start, block


def hits(text: str, first_line: int = 1) -> list[str]:
    """The phrases in a text, each with its line."""
    return [
        f"line {first_line + text[: match.start()].count(chr(10))}: {' '.join(match[0].split())!r}"
        for rule in PATTERNS.values()
        for match in rule.finditer(text)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_phrase_of_the_left_column(path: Path) -> None:
    faults = [hit for line, text in texts(path) for hit in hits(text, line)]
    assert faults == [], "CONTRIBUTING.md says what to write instead"


def test_every_phrase_is_found_in_a_sentence_with_it() -> None:
    assert len(PATTERNS) > 40
    for phrase in PATTERNS:
        example = phrase.replace("*", "word").removesuffix(",")
        assert phrase in [rule for rule, compiled in PATTERNS.items() if compiled.search(f"This {example}, here.")]


@pytest.mark.parametrize(
    "sentence",
    [
        "a value that torch has not seen; the run has not been started",
        "an option that has no effect, and a file that has no header",
        "one label per step, a row for each line",
        "the state at every step, a step at a time",
        "may be hard; it may be interrupted",
    ],
)
def test_correct_english_is_not_hit(sentence: str) -> None:
    assert hits(sentence) == []


def test_comments_and_strings_are_searched(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    lines = ["x = 1  # a cell that nobody", '"""Runs what', 'stands there."""', 'y = f"so {x} " "many so " "many"']
    path.write_text("\n".join([*lines, "# held", "# against it", ""]))
    assert [hit for line, text in texts(path) for hit in hits(text, line)] == [
        "line 2: 'what stands'",
        "line 4: 'so many'",
        "line 1: 'that nobody'",
        "line 5: 'held against'",
    ]
