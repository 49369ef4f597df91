"""The page of a server that wants a token: it asks for it, keeps it for the session, and sends it everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("markdown_it", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.inspect.page.waiting import until
from tests.serve.page.test_page import settle, status
from tests.serve.running import Running, serving

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(folder / "digits.safetensors", streams=True, token=TOKEN) as running:
        yield running


def test_without_the_token_nothing_is_told(server: Running) -> None:
    assert server.get("/").status == server.get("/page/main.js").status == 200
    assert b"digits" not in server.get("/").content
    for path in ("/page/models", "/page/models/digits", "/page/models/digits/card"):
        assert server.get(path).status == 401


def test_the_page_asks_for_the_token(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, expected=("status of 401",))
    control = page.get_by_label("Token")
    control.wait_for()
    assert page.locator("[role=alert]").count() == 0
    assert page.evaluate("document.activeElement.type") == "password"
    control.fill("tökén")
    page.keyboard.press("Enter")
    message = "A token has letters, digits and signs of ASCII alone, and no spaces."
    assert page.locator("[role=alert]").inner_text() == message
    control.fill("wrong")
    page.keyboard.press("Enter")
    until(page, f"document.querySelector('[role=alert]')?.textContent !== {message!r}")
    page.locator("[role=alert]").wait_for()
    refused = server.get("/page/models")
    assert page.locator("[role=alert]").inner_text() == refused.error
    control.fill(TOKEN)
    page.get_by_role("button", name="Continue").click()
    settle(page, "digits")
    page.get_by_role("button", name="One step").click()  # by a websocket
    until(page, "document.querySelectorAll('.map').length === 6")
    with page.expect_popup() as counters:
        page.get_by_role("link", name="its counters").click()
    counters.value.wait_for_url("blob:**")
    until(counters.value, "document.body.textContent.includes('holdfast_requests_total')")
    with page.expect_popup() as paths:
        page.get_by_role("link", name="All paths of the server").click()
    paths.value.wait_for_url("blob:**")
    until(paths.value, "document.querySelector('h1')?.textContent === 'holdfast serve'")
    assert paths.value.evaluate("getComputedStyle(document.querySelector('.method')).fontWeight") == "700"
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.reload()
    settle(page, "digits")
    page.get_by_role("button", name="Forget the token").click()
    page.get_by_label("Token").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    page.get_by_label("Token").wait_for()


def test_a_server_without_a_token_asks_for_none(folder: Path, opened: Callable[..., Any]) -> None:
    with serving(folder / "digits.safetensors") as server:
        page = opened(server, expected=("ERR_CONNECTION_REFUSED",))
        settle(page, "digits")
        assert page.get_by_role("button", name="Forget the token").count() == 0
    page.locator(".drawing").focus()
    page.keyboard.press("Space")
    status(page, "The server does not answer. Is it still running?")
