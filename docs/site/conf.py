"""The settings of the documentation site, which ``make docs`` builds with Sphinx in two parts.

    sphinx-build -c docs/site docs build/site                             # the English pages
    sphinx-build -c docs/site -D language=zh_CN docs/zh build/site/zh     # the Chinese pages

The pages stay plain Markdown that a code host shows: their links are relative paths.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import holdfast

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the extensions beside this file

project = "Holdfast"
author = "The authors of Holdfast"
release = version = holdfast.__version__
html_title = "Holdfast"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # docstrings in Google style
    "sphinx_copybutton",
    "chinese_search",
    "languages",
    "notebooks",
    "references",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["site", "zh"]  # of docs/; the Chinese pages are a site of their own
nitpicky = True
smartquotes = False  # two hyphens are an option, not a dash
locale_dirs = [str(HERE / "locale")]  # words of the theme in Chinese

myst_heading_anchors = 4  # links to headings, as code hosts have them
myst_links_external_new_tab = False

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_rtype = False
napoleon_use_ivar = True
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.output) > div.highlight > pre"  # not what a program prints

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": ["edit"]}  # its place has the link to the other language
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = ["search_of_files.js"]
templates_path = [str(HERE / "templates")]
html_copy_source = False
html_show_copyright = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def _without_changes(app: Sphinx, doctree: object) -> None:
    """The list of changes names everything, so a search does not look there."""
    if app.env.docname == "changes":
        app.env.metadata["changes"]["nosearch"] = True


def setup(app: Sphinx) -> None:
    """Tables as text have no colours of their own."""
    app.add_lexer("csv", TextLexer)
    app.connect("doctree-read", _without_changes)
