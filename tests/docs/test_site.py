"""The documentation site that ``make docs`` builds: its pages, languages and search, and the check of what is built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs Sphinx: pip install 'holdfast[docs]'")

from docs.site.check import Page, faults
from docs.site.chinese_search import SearchChinese
from docs.site.languages import counterpart
from docs.site.notebooks import NOTEBOOKS, markdown
from tests.docs.test_docs import ROOT, blocks

DOCS = ROOT / "docs"


def entries(page: Path) -> list[str]:
    """The pages in the tables of contents of a page, from its folder."""
    listed = [block.text for block in blocks(page.read_text("utf-8")) if block.info == "{toctree}"]
    return [line for text in listed for line in text.splitlines() if line and not line.startswith(":")]


def test_every_page_is_in_the_table_of_contents_once() -> None:
    chinese = DOCS / "zh"
    english = [*entries(DOCS / "index.md"), *(f"api/{name}" for name in entries(DOCS / "api" / "index.md"))]
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md") if chinese not in path.parents}
    assert sorted(english) == sorted(pages - {"index"})


def test_chinese_pages_in_the_table_of_contents_have_an_english_page() -> None:
    listed = entries(DOCS / "zh" / "index.md")
    assert [name for name in listed if not (DOCS / f"{name}.md").is_file()] == []
    written = {str(path.relative_to(DOCS / "zh").with_suffix("")) for path in (DOCS / "zh").rglob("*.md")}
    assert written - {*listed, "index"} == set()


def test_links_to_the_other_language() -> None:
    assert counterpart(False, "index") == "zh/index.html"
    assert counterpart(False, "convert") == "zh/index.html"  # not in Chinese
    assert counterpart(False, "api/layers") == "../zh/index.html"
    assert counterpart(False, "search") == "zh/search.html"
    assert counterpart(True, "index") == "../index.html"
    assert counterpart(True, "tutorials/README") == "../../tutorials/README.html"


def test_chinese_words_are_pairs_of_characters() -> None:
    search = SearchChinese({})
    assert search.split("LSTM 遗忘门") == ["LSTM", "遗", "忘", "门", "遗忘", "忘门"]
    assert search.split("训练并评估 holdfast_1") == [*"训练并评估", "训练", "练并", "并评", "评估", "holdfast_1"]


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
@pytest.mark.parametrize("query", ["遗忘门", "LSTM 遗忘门", "门", "h[0]=梯度，裁剪", "batch_first", ""])
def test_queries_are_split_as_pages_are(query: str) -> None:
    program = f"{SearchChinese.js_splitter_code}\nconsole.log(splitQuery(process.argv[1]).join(' '))"
    done = subprocess.run(["node", "-e", program, query], capture_output=True, encoding="utf-8", check=True)
    words = done.stdout.split()
    assert set(words) <= set(SearchChinese({}).split(query))
    assert bool(words) == bool(query)


def test_each_notebook_has_a_page_with_its_title() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        title = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]).splitlines()[0]
        page = (DOCS / "notebooks" / f"{path.stem}.md").read_text("utf-8")
        assert page.startswith(f"{title}\n\n")
        assert f"(../../examples/notebooks/{path.name})" in page
    assert len([*NOTEBOOKS.glob("*.ipynb")]) == len([*(DOCS / "notebooks").glob("*")])


def test_cells_of_a_notebook_become_markdown() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]},
        {"output_type": "display_data", "data": {"image/png": "iVBO\nRw==\n", "text/plain": ["<Figure>"]}},
        {"output_type": "execute_result", "data": {"text/html": ["<table>\n", "</table>"], "text/plain": ["a table"]}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Text.\n", "## Part"]},
        {"cell_type": "code", "source": ['print("""```\n', '""")'], "outputs": outputs},
    ]
    parts = [
        "Text.\n## Part",
        '````python\nprint("""```\n""")\n````',
        "```{code-block} text\n:class: output\n\na\nb\n```",
        "![](data:image/png;base64,iVBORw==)",
        '```{raw} html\n<div class="output">\n<table>\n</table>\n</div>\n```',
    ]
    assert markdown({"cells": cells}) == "\n\n".join(parts) + "\n"


def site(folder: Path, **pages: str) -> list[str]:
    """The faults of a site with these pages."""
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(body, "utf-8")
    read = {path: Page(path) for path in folder.glob("*.html")}
    return list(faults(folder, read))


def test_the_check_finds_dead_links_and_other_hosts(tmp_path: Path) -> None:
    picture = '<img src="data:image/png;base64,iVBO">'
    good = picture + '<h1 id="a">A</h1><article>two words, 两个字</article><a href="b.html#x"></a>'
    good += '<a href="https://arxiv.org/abs/1"></a>'
    assert site(tmp_path, a=good, b='<h1 id="x">B</h1>') == []
    assert Page(tmp_path / "a.html").words == 5
    dead = '<h1>C</h1><a href="none.html"></a><a href="a.html#b"></a><script src="https://cdn.example/x.js"></script>'
    assert len(site(tmp_path, c=dead)) == 3
    assert site(tmp_path, c="<p></p>") == ["c.html has no title."]
    (tmp_path / "c.html").unlink()
    (tmp_path / "x.css").write_text("@import url(https://fonts.example/x.css);")
    assert len(site(tmp_path)) == 1


def test_the_requirements_are_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text("utf-8").lower()
    (line,) = re.findall(r"^docs = \[(.*?)\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    for name in re.findall(r'"([\w-]+)', line):
        assert f"\n{name}==" in constraints
