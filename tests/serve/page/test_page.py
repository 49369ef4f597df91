"""The page of a running server in a real browser: what it shows is what the server and ``Predictor`` answer."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("markdown_it", reason="the extra 'serve' is not installed")
pytest.importorskip("polars", reason="needs polars: pip install 'holdfast[tables]'")

from tests.inspect.page.waiting import until
from tests.serve.running import Running, serving
from tests.tasks import untrained

from holdfast.predictor import Predictor

CLOSE = 1e-6
MODELS = ("digits", "forecast", "generate", "numbers", "panel", "sums", "tag", "texts", "translate", "converted")
FIRST = "document.querySelector('main h1')"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(*(folder / f"{name}.safetensors" for name in MODELS), streams=True) as running:
        yield running


def settle(page: Any, model: str) -> None:
    """Waits until a model is shown and its first answer has come."""
    until(page, f"{FIRST} && {FIRST}.textContent === '{model}'")
    until(page, "document.querySelector('main').textContent.includes('Answered in')")


def status(page: Any, text: str) -> None:
    """Waits until a status of the page begins with a text."""
    found = "[...document.querySelectorAll('main [role=status]')].some((each) => each.textContent.startsWith(TEXT))"
    until(page, found.replace("TEXT", repr(text)))


def answered(page: Any) -> Any:
    """The first answer after everything that was given until now."""
    until(page, "!holdfast.parts[1].waiting && !holdfast.parts[1].busy")
    return page.evaluate("holdfast.parts[1].answers[0]")


def drop(page: Any, name: str, content: bytes, kind: str) -> None:
    """Drops a file onto the page, as a person does with the mouse."""
    page.evaluate(
        """([name, content, kind]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(content)], name, { type: kind }));
          document.querySelector(".drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [name, list(content), kind],
    )


def answered_file(page: Any, name: str, content: bytes, kind: str) -> Any:
    """The answer to a file that is dropped; the browser reads it before it asks."""
    page.evaluate("window.earlier = holdfast.parts[1].answers")
    drop(page, name, content, kind)
    until(page, "holdfast.parts[1].answers !== window.earlier")
    return answered(page)


def draw(page: Any) -> None:
    box = page.locator(".drawing").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()


def test_a_drawn_digit_is_answered_as_predict(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "digits", viewport={"width": 1280, "height": 900})
    settle(page, "digits")
    draw(page)
    answer = answered(page)
    drawn = page.evaluate("holdfast.parts[0].given().body.examples")
    assert np.shape(drawn) == (1, 8, 8)
    assert 5 < np.count_nonzero(drawn) < 64
    assert answer == server.post("/predict/digits", {"examples": drawn}).json["answers"][0]
    (expected,) = Predictor(folder / "digits.safetensors").predict_values(drawn)
    assert answer["probabilities"] == expected["probabilities"]
    assert page.locator(".verdict").inner_text() == expected["label"]
    first = page.locator(".bars li").first.inner_text().split()
    assert first[0] == expected["label"]
    assert float(first[1]) == pytest.approx(100 * expected["probabilities"][expected["label"]], abs=0.6)


def test_a_picture_is_dropped(server: Running, opened: Callable[..., Any]) -> None:
    images = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'holdfast[images]'")
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    images.fromarray(values).save(file, "png")
    page = opened(server, "digits")
    settle(page, "digits")
    answer = answered_file(page, "seven.png", file.getvalue(), "image/png")
    (expected,) = server.ask("POST", "/predict/digits", file.getvalue(), {"Content-Type": "image/png"}).json["answers"]
    assert answer == {**expected, "origin": "seven.png"}
    assert page.locator(".preview img").get_attribute("alt") == "The picture seven.png"


def test_a_text_is_typed(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "texts")
    settle(page, "texts")
    predictor = Predictor(folder / "texts.safetensors")
    for text in ("1 4", "naïve <end> 東", ""):
        page.locator(".typed input").fill(text)
        answer = answered(page)
        (expected,) = predictor.predict_lines([text])
        assert answer["probabilities"] == expected["probabilities"]
        assert page.locator(".verdict").inner_text() == expected["label"]


def test_tags_sums_and_translations(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "tag")
    settle(page, "tag")
    page.locator(".typed input").fill("the boat row")
    answered(page)
    (expected,) = Predictor(folder / "tag.safetensors").predict_lines(["the boat row"])
    assert page.locator(".chip").all_inner_texts() == [
        f"{word}\n{tag}" for word, tag in zip(expected["words"], expected["tags"], strict=True)
    ]
    page.get_by_role("link", name="sums").click()
    settle(page, "sums")
    page.get_by_label("First number").fill("12")
    answered(page)
    (expected,) = Predictor(folder / "sums.safetensors").predict_lines(["12 29"])
    assert page.locator(".verdict").inner_text().startswith(f"12 + 29 = {expected['sum']} (")
    page.get_by_role("link", name="translate").click()
    settle(page, "translate")
    page.locator(".typed input").fill("one two")
    answered(page)
    (expected,) = Predictor(folder / "translate.safetensors").predict_lines(["one two"])
    assert page.locator(".verdict").inner_text() == expected["translation"]


def test_a_series_is_dropped_and_moved(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "forecast")
    settle(page, "forecast")
    predictor, text = Predictor(folder / "forecast.safetensors"), untrained.FILES["series.csv"]
    answer = answered_file(page, "series.csv", text.encode(), "text/csv")
    (expected,) = predictor.predict([folder / "series.csv"])
    assert (answer["times"], answer["quantiles"]) == (expected["times"], expected["quantiles"])
    forecast = np.array(page.evaluate("holdfast.parts[0].widget.widget.forecast"))  # [H, C, Q]
    np.testing.assert_allclose(forecast[:, 0].T, list(expected["quantiles"]["value"].values()), rtol=CLOSE)
    assert page.locator(".chart path.band").count() == 1
    assert page.locator(".hint", has_text="series.csv; chosen: 1994-12-01").count() == 1
    page.get_by_label("Its value").fill("30")
    answer = answered(page)
    columns: dict[str, list[Any]] = {"time": [], "value": []}
    for row in csv.DictReader(io.StringIO(text)):
        columns["time"].append(row["time"])
        columns["value"].append(float(row["value"]))
    columns["value"][-1] = 30.0
    (moved,) = predictor.predict_values(columns)
    assert answer["quantiles"] == moved["quantiles"] != expected["quantiles"]


def test_each_series_of_a_table(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "panel")
    settle(page, "panel")
    text = untrained.FILES["panel.csv"].replace("\na,", "\n1,").replace("\nb,", "\n2,")  # ids that are numbers
    (folder / "numbered.csv").write_text(text)
    answered_file(page, "panel.csv", text.encode(), "text/csv")
    expected = list(Predictor(folder / "panel.safetensors").predict([folder / "numbered.csv"]))
    for place, answer in enumerate(expected):
        page.get_by_label("Series").select_option(index=place)
        answered(page)
        forecast = np.array(page.evaluate("holdfast.parts[0].widget.widget.forecast"))
        np.testing.assert_allclose(forecast[:, 0, 0], answer["values"]["y"], rtol=CLOSE)


def test_a_text_goes_on_token_by_token(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "generate")
    status(page, "200 pieces")  # of the recipe, without asking
    page.get_by_label("The text begins with").fill("row")
    page.get_by_label("Tokens").fill("30")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Write").click()
    status(page, "30 pieces")
    (expected,) = Predictor(folder / "generate.safetensors", options=["length=30", "seed=7"]).predict_lines(["row"])
    assert page.locator(".written").text_content() == expected["text"]
    assert page.locator(".written .given").text_content() == "row"
    page.get_by_label("Tokens").fill("4000")
    page.get_by_role("button", name="Write").click()
    page.evaluate("holdfast.parts[1].button.click()")
    status(page, "Stopped.")


def test_a_network_of_other_software_has_a_form(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, "converted")
    settle(page, "converted")
    page.get_by_label("Values of").first.fill("1 2 3\n4 5 6")
    page.get_by_label("Shape of").first.fill("1, 2, 3")
    page.get_by_role("button", name="Compute").click()
    until(page, "document.querySelector('.answer tbody').children.length === 2")
    model = server.get("/v2/models/converted").json
    tensor = {"name": model["inputs"][0]["name"], "datatype": "FP32", "shape": [1, 2, 3], "data": [1, 2, 3, 4, 5, 6]}
    output = server.post("/v2/models/converted/infer", {"inputs": [tensor]}).json["outputs"][0]
    cells = page.locator(".answer table").first.locator("td").all_inner_texts()
    np.testing.assert_allclose([float(cell) for cell in cells], output["data"], rtol=1e-3)
    page.get_by_label("Shape of").first.fill("1, 3, 3")
    page.get_by_role("button", name="Compute").click()
    status(page, f"{tensor['name']} has 6 values; expected 9, for the shape [1, 3, 3].")


def test_the_servers_sentence_is_shown(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, "forecast", expected=("status of 422",))
    settle(page, "forecast")
    content = b"when,what\n1,2\n"
    drop(page, "other.csv", content, "text/csv")
    answered(page)
    body = {"files": [{"name": "other.csv", "content": "d2hlbix3aGF0CjEsMgo="}]}
    refused = server.post("/predict/forecast", body)
    assert refused.status == 422
    assert page.locator(".wrong").inner_text() == refused.error
    drop(page, "empty.csv", b"", "text/csv")
    until(page, "document.querySelector('.wrong').textContent.startsWith('empty.csv')")


def test_a_chart_of_more_values_than_a_call_has_arguments(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, "numbers")
    settle(page, "numbers")
    drawn = """import("./page/chart.js").then(({ Chart }) => {
      const points = Array.from({ length: 200_000 }, (_, t) => [t, t % 7, t === 5 ? NaN : t % 9]);
      const chart = new Chart("many");
      chart.draw({ lines: [{ name: "a", points }], bands: [{ name: "b", points }] });
      return [chart.range.x1, chart.svg.querySelector(".band").getAttribute("d").includes("NaN")];
    })"""
    assert page.evaluate(drawn) == [199_999, False]


def test_an_answer_that_breaks_off(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, "generate", expected=("ERR_",))
    status(page, "200 pieces")
    page.evaluate(
        """() => {
          const [first] = ['event: prompt\\ndata: {"prompt": "row"}\\n\\n'];
          window.fetch = async () => new Response(new Blob([first]).stream());
          holdfast.parts[1].write();
        }"""
    )
    until(page, "holdfast.parts[1].status.textContent === 'The answer of the server broke off.'")


def test_the_commands_for_a_shell_are_answered(server: Running, opened: Callable[..., Any]) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    page = opened(server)
    for model in ("texts", "sums", "numbers"):
        page.locator(f"nav a[data-key='{model}']").click()
        settle(page, model)
        command = page.locator("section pre").last.inner_text()
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        assert len(json.loads(done.stdout)["answers"]) == 1, command


def test_without_a_mouse(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, "numbers", viewport={"width": 1280, "height": 900})
    settle(page, "numbers")
    where = "document.activeElement"

    def tab_to(test: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(test):
                return
        raise AssertionError(f"Tab does not reach {test}")

    page.evaluate("document.body.focus()")
    tab_to(f"{where}.dataset?.key === 'digits'")
    page.keyboard.press("Enter")
    settle(page, "digits")
    before = answered(page)
    tab_to(f"{where}.classList.contains('drawing')")
    for key in ("ArrowUp", "Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    assert answered(page) != before
    tab_to(f"{where}.textContent === 'One step'")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.map').length === 6")
    tab_to(f"{where}.tagName === 'SUMMARY'")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.card table') !== null")


def test_on_a_phone_in_the_dark(server: Running, opened: Callable[..., Any]) -> None:
    page = opened(server, viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    for model in MODELS:
        page.locator(f"nav a[data-key='{model}']").click()
        until(page, f"{FIRST} && {FIRST}.textContent === '{model}'")
        status(page, "200 pieces" if model == "generate" else "Answered in")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, model
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("input, select, textarea")]
              .filter((control) => !control.labels.length && !control.ariaLabel).length"""
        )
        assert unnamed == 0, model
