"""The report in a real browser: it asks for nothing, fits a phone and a desk, is light and dark, and prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.inspect.report import render
from made_facts import facts, hostile

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module", params=["plain", "hostile"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render(facts() if request.param == "plain" else hostile()))
    return path


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab that keeps what it asked for and what went wrong."""
    page = browser.new_page()
    page.asked, page.wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("dialog", lambda dialog: (page.wrong.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_for_nothing_and_fits(tab: Any, report: Path, size: dict[str, int], scheme: str) -> None:
    tab.set_viewport_size(size)
    tab.emulate_media(color_scheme=scheme)
    tab.goto(report.as_uri())
    assert [url for url in tab.asked if not url.startswith("data:")] == [report.as_uri()]
    assert tab.wrong == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 25, 30)")
    pictures = tab.locator("[role=img]").all()
    assert pictures
    for picture in pictures:
        box = picture.bounding_box()
        assert box["width"] > 20
        assert box["height"] > 20


def test_the_facts_can_be_read_by_a_program(tab: Any, report: Path) -> None:
    tab.goto(report.as_uri())
    assert tab.evaluate("JSON.parse(document.getElementById('facts').textContent).epochs") == 3


def test_it_prints(tab: Any, report: Path) -> None:
    tab.goto(report.as_uri())
    printed = tab.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 10_000
