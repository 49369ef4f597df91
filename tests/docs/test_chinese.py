"""Each Chinese page says what its English page says: the same blocks, code, numbers and links, in the same words."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.docs import bilingual

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = (
    "README",
    "binary_addition",
    "carried_state",
    "classifier",
    "encoder_decoder",
    "four_cells",
    "layer_by_hand",
)
DOCS = ("start", "cells", "cli", *(f"tutorials/{name}" for name in TUTORIALS))
# English pages by their Chinese ones.
PAGES = {ROOT / "README.zh-CN.md": ROOT / "README.md"}
PAGES |= {ROOT / "docs" / "zh" / f"{name}.md": ROOT / "docs" / f"{name}.md" for name in DOCS}
FIRST_OF_THE_SITE = ROOT / "docs" / "zh" / "index.md"  # lists the pages that are in Chinese, so it is no translation
OF_ENGLISH = {english: chinese for chinese, english in PAGES.items()}


def glossary() -> dict[str, tuple[list[str], list[str]]]:
    """CONTRIBUTING's table: for each English term its translations, and the words that are not written."""
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Chinese")[2]
    rows = re.search(r"^\| English \| 中文 \| not \|\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows
    found = {}
    for row in rows[1].splitlines():
        english, chinese, unwanted = (cell.strip() for cell in row.strip("|").split("|"))
        for term in re.sub(r" \(.*\)", "", english).split(", "):
            found[term] = (chinese.split("、"), unwanted.split("、") if unwanted else [])
    return found


GLOSSARY = glossary()
OTHER = 4  # the token of a page whose link leads to the other language: after the heading's three, in the paragraph


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text("utf-8")


def test_the_pages_are_all_there() -> None:
    assert {*ROOT.glob("*.zh-CN.md"), *ROOT.glob("docs/zh/**/*.md")} - {FIRST_OF_THE_SITE} == set(PAGES)
    assert [name_of(page) for page in PAGES.values() if not page.exists()] == []
    assert len(PAGES) == 11


@pytest.mark.parametrize("chinese", PAGES, ids=name_of)
def test_the_page_says_what_the_english_page_says(chinese: Path) -> None:
    assert bilingual.faults(text(PAGES[chinese]), text(chinese), GLOSSARY) == []


def test_the_first_page_of_the_site_is_written_in_the_same_way() -> None:
    blocks = [block for block in bilingual.parsed(text(FIRST_OF_THE_SITE)) if block.type == "inline"]
    assert len(blocks) > 10
    assert [fault for block in blocks for fault in bilingual.faults_of_writing(block)] == []


def faults_of_links(english: Path, chinese: Path, chinese_text: str) -> list[str]:
    """Links that do not lead where the English page's do, in Chinese where there is a Chinese page."""
    here, there = bilingual.links(text(english), english), bilingual.links(chinese_text, chinese)
    faults = []
    for k, (expected, found) in enumerate(zip(here, there, strict=True)):
        wanted = [(english, "")] if k == OTHER else [in_chinese(file, anchor) for file, anchor in expected]
        if Counter(wanted) != Counter(found):
            faults.append(f"{found} where {wanted} is expected")
    return faults


def in_chinese(file: Path | str, anchor: str) -> tuple[Path | str, str]:
    """Where the Chinese page leads for a link of the English one."""
    if isinstance(file, Path) and file.suffix == ".svg":
        return ROOT / "docs" / "zh" / file.relative_to(ROOT / "docs"), anchor
    if not isinstance(file, Path) or file not in OF_ENGLISH:
        return file, anchor
    chinese = OF_ENGLISH[file]
    if not anchor:
        return chinese, ""
    return chinese, bilingual.anchors(text(chinese))[bilingual.anchors(text(file)).index(anchor)]


@pytest.mark.parametrize("chinese", PAGES, ids=name_of)
def test_links_lead_to_the_chinese_page_where_there_is_one(chinese: Path) -> None:
    assert faults_of_links(PAGES[chinese], chinese, text(chinese)) == []


@pytest.mark.parametrize("chinese", PAGES, ids=name_of)
def test_both_pages_link_to_the_other_below_their_title(chinese: Path) -> None:
    for page, other, word in ((chinese, PAGES[chinese], "English"), (PAGES[chinese], chinese, "中文")):
        first = text(page).splitlines()[2]
        match = re.match(rf"\[{word}\]\(([^)]+)\)", first)
        assert match, first
        assert (page.parent / match[1]).resolve() == other


CELLS, TUTORIAL, README = (
    ROOT / "docs/zh/cells.md",
    ROOT / "docs/zh/tutorials/four_cells.md",
    ROOT / "README.zh-CN.md",
)


@pytest.mark.parametrize(
    ("page", "before", "after", "fault"),
    [
        (README, "两个 7 位二进制数", "两个 8 位二进制数", "numbers"),
        (README, "| LSTM (128, 28, 128, 128) |", "| LSTM (128, 28, 128, 129) |", "numbers"),
        (README, "16,384", "1.6 万", "numbers"),
        (README, "holdfast train mnist --set", "holdfast train digits --set", "the code"),
        (README, "holdfast.LSTM(28, 128", "holdfast.LSTM(28, 64", "the code"),
        (README, "# 列出配方", "# lists the recipes", "is not translated"),
        (README, "# 300 个序列", "# 200 个序列", "numbers of the comment"),
        (README, "  layer.h  ", "  layers.h  ", "the code"),
        (README, "\n## 第一个程序\n", "\n### 第一个程序\n", "'h3'"),
        (README, "\n## 从数组到模型\n", "\n", "where the English page has"),
        (
            CELLS,
            "\n| `zoneout_c` | LSTM | `c' ← where(m, c, c')` | Krueger et al. 2017 |\n",
            "\n",
            "the English page has",
        ),
        (CELLS, "f = σ(u_f)", "f = σ(u_g)", "the code"),
        (CELLS, "  遗忘门\n", "  forget gate\n", "none of"),
        (CELLS, "0.9²⁵ = 0.07", "0.9²⁴ = 0.07", "numbers"),
        (CELLS, "`gate_clip` |", "`cell_clip` |", "code only in Chinese"),
        (CELLS, "单元状态", "细胞状态", "the glossary"),
        (CELLS, "两个偏置相加，", "两个偏置相加,", "punctuation"),
        (CELLS, "长短期记忆网络（", "长短期记忆网络 (", "brackets"),
        (
            CELLS,
            "简单循环神经网络（Elman 1990）只有一行。",
            "The simple recurrent network (Elman 1990) has one line.",
            "no Chinese",
        ),
        (TUTORIAL, "用 Python 实现时，", "In Python, the cell is one，", "English in"),
        (TUTORIAL, "128 个隐藏单元", "128个隐藏单元", "no space"),
        (TUTORIAL, "梯度可能爆炸。", "梯度可能爆炸。 ", "a space next to"),
        (TUTORIAL, "**梯度裁剪**：循环", "**梯度裁剪：**循环", "asterisks"),
        (TUTORIAL, "**梯度裁剪**", "*梯度裁剪*", "italics"),
        (TUTORIAL, "见 [TensorFlow 1 程", "见\n[TensorFlow 1 程", "a line break"),
        (TUTORIAL, "测试集", "测试数据", "the glossary"),
        (TUTORIAL, "```console", "```text", "a block of"),
    ],
)
def test_a_page_that_differs_is_noticed(page: Path, before: str, after: str, fault: str) -> None:
    assert before in text(page)
    changed = text(page).replace(before, after, 1)
    found = bilingual.faults(text(PAGES[page]), changed, GLOSSARY)
    assert any(re.search(fault, one) for one in found), found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("](#初始值)", "](#选项)"),
        ("(pictures/rnn.svg)", "(../pictures/rnn.svg)"),
        ("](#梯度消失)", "](../cells.md)"),
    ],
)
def test_a_link_that_leads_elsewhere_is_noticed(before: str, after: str) -> None:
    assert before in text(CELLS)
    assert faults_of_links(PAGES[CELLS], CELLS, text(CELLS).replace(before, after, 1)) != []
