"""Checks the built site: every link inside it leads somewhere, and nothing is loaded from another host.

    python docs/site/check.py build/site

It prints the faults, or the number of pages and words. Links to other hosts are only checked for their form.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """The anchors, links, loaded files, title and words of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.anchors: set[str] = {""}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.titles: list[str] = []
        self.words = 0
        self._article = False
        self._tags: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects what a tag refers to."""
        values = dict(attrs)
        self._tags.append(tag)
        self.anchors.update(value for value in (values.get("id"), values.get("name")) if value)
        self._article |= tag == "article"
        if tag == "a" and values.get("href") is not None:
            self.links.append(values["href"] or "")
        if tag in LOADING and (target := values.get(LOADING[tag])) and not target.startswith("data:"):
            self.loads.append(target)

    def handle_endtag(self, tag: str) -> None:
        """Notes the end of the text."""
        self._article &= tag != "article"

    def handle_data(self, data: str) -> None:
        """Counts words; a Chinese character counts as a word."""
        if self._tags and self._tags[-1] == "h1":
            self.titles.append(data)
        if self._article:
            self.words += len(re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", data))


def faults(root: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """What is wrong, one sentence each."""
    for page in pages.values():
        where = page.path.relative_to(root)
        if not "".join(page.titles).strip() and page.path.name != "search.html":  # a program writes that title
            yield f"{where} has no title."
        for target in page.loads:
            if urlsplit(target).netloc or not (page.path.parent / unquote(urlsplit(target).path)).exists():
                yield f"{where} loads {target}, which is not a file of the site."
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                if parts.scheme != "mailto" and not re.fullmatch(
                    r"[\w.-]+\.\w+(:\d+)?|127\.0\.0\.1(:\d+)?", parts.netloc
                ):
                    yield f"{where} has the link {link}, which names no host."
                continue
            file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            if not file.is_file() or not file.is_relative_to(root):
                yield f"{where} has the link {link}, and there is no such file in the site."
            elif file in pages and unquote(parts.fragment) not in pages[file].anchors:
                yield f"{where} has the link {link}, and that page has no such anchor."
    for style in root.rglob("*.css"):
        for target in re.findall(r"(?:@import|url\()[^;)]*", style.read_text("utf-8")):
            if re.search(r"(?<!:)//", target.partition("data:")[0]) or "http" in target.partition("data:")[0]:
                yield f"{style.relative_to(root)} has {target}, on another host."


def main(folder: str) -> int:
    """Checks a site; returns the number of faults."""
    root = Path(folder).resolve()
    pages = {path: Page(path) for path in sorted(root.rglob("*.html")) if path.relative_to(root).parts[0] != "_static"}
    found = list(faults(root, pages))
    print("\n".join(found), file=sys.stderr)
    print(f"{len(pages)} pages, {sum(page.words for page in pages.values()):,} words, {len(found)} faults")
    return len(found)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1]), 1))
