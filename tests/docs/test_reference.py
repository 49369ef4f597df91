import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = runpy.run_path(str(DOCS / "reference.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_what_the_code_says(name):
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), "run `python docs/reference.py`"
