import re
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PINNED = re.search("^typer==(.*)", (DOCS.parent / "constraints.txt").read_text("utf-8"), re.MULTILINE)[1]
if version("typer") != PINNED:
    pytest.skip(
        f"each version of typer words the pages otherwise, and they are of {PINNED}: {version('typer')} is installed",
        allow_module_level=True,
    )
PAGES = runpy.run_path(str(DOCS / "reference.py"))["PAGES"]
chinese = sys.modules["chinese"]  # which the program imports
ENGLISH = PAGES["cli.md"]().replace("[中文](zh/cli.md)\n\n", "")


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_what_the_code_says(name):
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), "run `python docs/reference.py`"


def test_a_new_text_needs_its_chinese():
    added = ENGLISH.replace("* `--resume`: ", "* `--again`: Train it again.\n* `--resume`: ", 1)
    assert added != ENGLISH
    with pytest.raises(LookupError, match=r"^docs/zh/cli.toml has no Chinese for 'Train it again.'; expected a line "):
        chinese.cli_page(added)


def test_chinese_of_a_text_that_is_gone_is_refused():
    with pytest.raises(LookupError, match=r"texts that do not exist: \[\"Redraw the .*\"\]; remove it.$"):
        chinese.cli_page("".join(row for row in ENGLISH.splitlines(keepends=True) if "`--live`" not in row))


def test_a_command_of_the_list_shows_its_first_sentence():
    assert "\n* `serve`：通过 HTTP 提供训练好的模型，并在 / 提供试用模型的网页。\n" in PAGES["zh/cli.md"]()
    unknown = ENGLISH.replace("* `serve`: Serve trained", "* `serve`: Serves trained", 1)
    with pytest.raises(
        LookupError, match=r"has 0 texts that begin with 'Serves trained models over HTTP, with a\.\.\.'; expected one"
    ):
        chinese.cli_page(unknown)


def test_notes_are_divided_outside_of_brackets():
    added = ENGLISH.replace("[default: 0; x>=0]", "[default: (the run directory; a task); x>=0]", 1)
    with pytest.raises(LookupError, match=r"no Chinese for '\(the run directory; a task\)'"):
        chinese.cli_page(added)
