"""Compares a page with its Chinese, block by block: structure, code, numbers, links and words.

The pages are read by markdown-it, so a block is what a reader sees as one: a heading, a paragraph, a cell of a table, a
fenced block. English and Chinese put words in different orders; a block is therefore compared by what it contains.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

Glossary = Mapping[str, tuple[list[str], list[str]]]
"""For each English term its Chinese ones, and the words that are not written."""

CJK = r"[\u4e00-\u9fff]"
LATIN = r"[A-Za-z0-9\u0370-\u03ff]"
WIDE = r"[，。：；！？、（）“”]"
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
REFERENCE = re.compile(r".*\d{4}: .*")  # of a paper, which keeps its language

WORD_FAULTS = {
    rf"{CJK}[,;:!?(]|[,;:!?)]{CJK}|\([^()]*{CJK}[^()]*\)": "punctuation of Latin text next to Chinese",
    rf"{CJK}{LATIN}|{LATIN}{CJK}": "no space between Chinese and Latin",
    rf" {WIDE}|{WIDE} ": "a space next to Chinese punctuation",
    rf'{CJK}\.(?:\s|$)|{CJK} ?"|" ?{CJK}': "a full stop or quotation mark of Latin text",
    rf"{CJK} +{CJK}": "a space between Chinese words",
}


def parsed(markdown: str) -> list[Token]:
    """The tokens of a page."""
    return MarkdownIt("commonmark").enable("table").parse(markdown)


def faults(english: str, chinese: str, glossary: Glossary) -> list[str]:
    """What differs between two pages, each with the line of the Chinese page.

    Args:
        english: The English page.
        chinese: The Chinese page.
        glossary: The terms.
    """
    here, there = parsed(english), parsed(chinese)
    shapes = [[(token.type, token.tag) for token in tokens] for tokens in (here, there)]
    for k, (left, right) in enumerate(zip(*shapes, strict=False)):
        if left != right:
            after = there[k - 1].content[:40] if k else ""
            return [f"line {line(there, k)}: {right} where the English page has {left}, after {after!r}"]
    if len(here) != len(there):
        return [f"{len(there)} blocks where the English page has {len(here)}"]
    found = []
    for k, (left, right) in enumerate(zip(here, there, strict=True)):
        found += [f"line {line(there, k)}: {fault}" for fault in faults_of_block(left, right, glossary)]
    return found


def line(tokens: list[Token], index: int) -> int:
    """The line of a token, or of the last one before it that has a line."""
    return next((token.map[0] + 1 for token in reversed(tokens[: index + 1]) if token.map), 1)


def faults_of_block(left: Token, right: Token, glossary: Glossary) -> Iterator[str]:
    if left.type in ("fence", "code_block", "html_block"):
        if left.info != right.info:
            yield f"a block of {right.info!r} where the English page has {left.info!r}"
        yield from faults_of_code(left.info, left.content, right.content, glossary)
    if left.type != "inline":
        return
    if code_spans(left) != code_spans(right):
        yield f"code {only(code_spans(right), code_spans(left))}"
    if numbers(prose(left)) != numbers(prose(right)):
        yield f"numbers {only(numbers(prose(right)), numbers(prose(left)))}"
    text = prose(right)
    if REFERENCE.fullmatch(text) and text == prose(left):
        return
    yield from faults_of_writing(right)
    yield from faults_of_translation(prose(left), text)
    yield from faults_of_terms(prose(left), text, glossary)


def faults_of_writing(block: Token) -> Iterator[str]:
    """Faults of a Chinese block by itself: italics, bold text, line breaks, punctuation and spaces."""
    inner = list(pairwise(block.children or []))
    if any(opening.type == "em_open" and re.match(CJK, child.content) for opening, child in inner):
        yield "Chinese in italics, which no font has"
    if any(child.type in ("softbreak", "hardbreak") for child in block.children or []):
        yield "a line break within a paragraph, which shows as a space"
    if any(child.type == "text" and "**" in child.content for child in block.children or []):
        yield "asterisks that a reader sees: bold text must not end with punctuation"
    yield from faults_of_words(visible(block))


def only(chinese: Counter[str], english: Counter[str]) -> str:
    """What only one of two blocks contains."""
    return f"only in Chinese: {[*(chinese - english).elements()]}, only in English: {[*(english - chinese).elements()]}"


def code_spans(token: Token) -> Counter[str]:
    return Counter(child.content for child in token.children or [] if child.type == "code_inline")


def prose(token: Token) -> str:
    """The text of a block without its code; words around code stay apart."""
    kinds = {"text": lambda child: child.content, "softbreak": lambda _: " ", "code_inline": lambda _: "`"}
    kinds["image"] = lambda child: f" {child.content} "
    return "".join(kinds[child.type](child) for child in token.children or [] if child.type in kinds)


def visible(token: Token) -> str:
    """The text of a block as a reader sees it; code is a Latin letter."""
    kinds = {"text": lambda child: child.content, "code_inline": lambda _: "x", "image": lambda child: child.content}
    return "".join(kinds[child.type](child) for child in token.children or [] if child.type in kinds)


def numbers(text: str) -> Counter[str]:
    """The numbers in a text: 16,384 is 16384, and so is 1.6384 万."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda match: f" {match[0].translate(SUPERSCRIPTS)} ", text)
    found: Counter[str] = Counter()
    for match in re.finditer(r"(\d+(?:,\d{3})*(?:\.\d+)?)( ?万)?", text):
        number = match[1].replace(",", "")
        found[f"{float(number) * 1e4:.0f}" if match[2] else number] += 1
    return found


def faults_of_words(text: str) -> Iterator[str]:
    """Faults of punctuation and spaces in a Chinese text, outside of shapes such as [批次, 时间]."""
    text = re.sub(r"\[[^][]*\]", lambda match: match[0].replace(", ", "、"), text)
    if text.count("（") != text.count("）"):
        yield f"brackets that do not match: {text!r}"
    for pattern, fault in WORD_FAULTS.items():
        for match in re.finditer(pattern, text):
            yield f"{fault}: {text[max(0, match.start() - 8) : match.end() + 8]!r}"


def english_words(text: str) -> list[str]:
    """The words of English prose in a text: in small letters, and not a formula's."""
    return re.findall(r"(?<![\w.'/-])[a-z]{2,}(?![\w./(-])", text)


def faults_of_translation(english: str, chinese: str) -> Iterator[str]:
    """An English sentence that was left, or left out."""
    if match := re.search(r"(?:\b[A-Za-z][a-z'-]+ ){3,}[a-z]{2,}", chinese):
        yield f"English in a Chinese page: {match[0]!r}"
    if len(english_words(english)) >= 3 and not re.search(CJK, chinese):
        yield f"no Chinese for {english!r}"


def faults_of_terms(english: str, chinese: str, glossary: Glossary) -> Iterator[str]:
    """Terms of the glossary that are translated in another way."""
    for term, (translations, unwanted) in glossary.items():
        for word in unwanted:
            if word in chinese:
                yield f"{word}, for which the glossary has {translations[0]}"
        used = re.search(rf"(?<![\w.])(?<!holdfast ){term}(?![\w.(])", english)
        if used and not any(word in chinese for word in translations):
            yield f"none of {translations} for {term!r} of {english!r}: {chinese!r}"


def faults_of_code(info: str, english: str, chinese: str, glossary: Glossary) -> Iterator[str]:
    """Differences of two blocks of code; comments, and words to the right of formulas, may be translated."""
    left, right = (pieces(info, text) for text in (english, chinese))
    if len(left) != len(right):
        yield f"{len(right)} lines or columns of code where the English page has {len(left)}"
        return
    for (ours, may_differ), (theirs, _) in zip(left, right, strict=True):
        if may_differ:
            yield from faults_of_terms(ours, theirs, glossary)
        if ours == theirs:
            if may_differ and len(english_words(ours)) >= 3:
                yield f"the comment {ours!r} is not translated"
        elif not may_differ or not re.search(CJK, theirs):
            yield f"the code {theirs!r} where the English page has {ours!r}"
        else:
            if numbers(ours) != numbers(theirs):
                yield f"numbers of the comment {theirs!r}: {only(numbers(theirs), numbers(ours))}"
            yield from faults_of_words(theirs.removeprefix("# "))
            yield from faults_of_translation(ours, theirs)


def pieces(info: str, code: str) -> list[tuple[str, bool]]:
    """The pieces of a block, in order, each with whether it may be translated."""
    if info.startswith("python"):
        tokens = [token for token in tokenize.generate_tokens(io.StringIO(code).readline) if token.string.strip()]
        return [(token.string, token.type == tokenize.COMMENT) for token in tokens]
    if info == "console":
        split = [re.fullmatch(r"(.*?)(?:\s+(# .*))?", row) for row in code.splitlines()]
        return [piece for row in split if row for piece in ((row[1], False), (row[2] or "", True))]
    if info == "text":
        rows = [re.split(r"(?<=\S)\s{2,}(?=\S)", row) for row in code.splitlines()]
        return [(piece, len(english_words(piece)) > 0) for row in rows for piece in row]
    return [(code, False)]


def anchors(markdown: str) -> list[str]:
    """The anchors that GitHub gives the headings of a page, in order."""
    tokens = parsed(markdown)
    found: list[str] = []
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            slug = re.sub(r"[^\w\- ]", "", visible_heading(heading).lower()).replace(" ", "-")
            number = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
            found.append(f"{slug}-{number}" if number else slug)
    return found


def visible_heading(token: Token) -> str:
    return "".join(child.content for child in token.children or [] if child.type in ("text", "code_inline"))


def links(markdown: str, page: Path) -> list[list[tuple[Path | str, str]]]:
    """Where the links and pictures of each block lead: a file and an anchor, or an address of the web."""
    found = []
    for token in parsed(markdown):
        targets = [str(child.attrGet("href") or child.attrGet("src")) for child in token.children or [] if child.attrs]
        found.append([resolved(target, page) for target in targets])
    return found


def resolved(target: str, page: Path) -> tuple[Path | str, str]:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return target, ""
    file, _, anchor = unquote(target).partition("#")
    return ((page.parent / file).resolve() if file else page), anchor
