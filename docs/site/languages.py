"""The two languages of the site: links from a page to the same page in the other one, and links between the parts.

The Chinese pages are a site in the folder ``zh`` of the English one, as ``docs/zh`` is in ``docs``. So a relative link
from one part to the other is right in the built site too, with ``.html`` instead of ``.md``.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

DOCS = Path(__file__).resolve().parents[1]
NAMES = {"中文", "English"}  # the text of a link to the other language
INCLUDED = {"../README", "../CHANGELOG"}  # pages of the repository; pages of the site include parts of them


def target_of(link: addnodes.pending_xref, folder: str | Path) -> str:
    """The page that a link leads to, from the folder of all pages: ``"cells"``, ``"../cells"``."""
    target: str = link["reftarget"]
    return posixpath.relpath(target, folder) if posixpath.isabs(target) else target


class OtherPart(SphinxTransform):
    """Links to pages of the other part lead to the built pages."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Replaces the links. A link to a page that does not exist stays, and Sphinx warns about it."""
        here = posixpath.dirname(self.env.docname)
        for link in list(self.document.findall(addnodes.pending_xref)):
            target = target_of(link, self.env.srcdir)
            if link.get("refdomain") != "doc" or target in self.env.found_docs:
                continue
            if not Path(self.env.srcdir, f"{target}.md").is_file():
                continue
            anchor = f"#{link['reftargetid']}" if link["reftargetid"] else ""
            uri = posixpath.relpath(target, here or ".") + ".html" + anchor
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri))


class ForCodeHosts(SphinxTransform):
    """Leaves out paragraphs that are one link which only a code host needs.

    These are links to the other language, which the site has at the top of each page, and links to what the page
    includes.
    """

    default_priority = OtherPart.default_priority - 1

    def apply(self, **kwargs: Any) -> None:
        """Removes the paragraphs."""
        for paragraph in list(self.document.findall(nodes.paragraph)):
            text, links = paragraph.astext(), list(paragraph.findall(addnodes.pending_xref))
            is_one_link = len(links) == 1 and text == links[0].astext()
            if is_one_link and (text in NAMES or target_of(links[0], self.env.srcdir) in INCLUDED):
                paragraph.parent.remove(paragraph)


def counterpart(chinese: bool, page: str) -> str:
    """The path of the same page in the other language, from the page itself; its first page, if there is none.

    Args:
        chinese: Whether the page is Chinese.
        page: The page without ending, such as ``"tutorials/classifier"``.

    Example:
        >>> counterpart(False, "tutorials/classifier"), counterpart(True, "tutorials/classifier")
        ('../zh/tutorials/classifier.html', '../../tutorials/classifier.html')
    """
    up = "../" * page.count("/")
    if chinese:
        return f"{up}../{page}.html"
    exists = (DOCS / "zh" / f"{page}.md").is_file() or page in ("search", "genindex")
    return f"{up}zh/{page if exists else 'index'}.html"


def _add_link(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    chinese = app.config.language == "zh_CN"
    context["other_language"] = "English" if chinese else "中文"
    context["other_language_code"] = "en" if chinese else "zh-CN"
    context["other_language_link"] = counterpart(chinese, pagename)


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the link to the other language, and resolves links between the parts."""
    app.add_transform(OtherPart)
    app.add_transform(ForCodeHosts)
    app.connect("html-page-context", _add_link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
