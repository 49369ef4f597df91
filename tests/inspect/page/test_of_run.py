"""Pages of the real tasks: what a person does there, beside Predictor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.inspect.page.waiting import until
from tests.tasks import untrained

from command_line import call
from holdfast import experiment, recipes
from holdfast.data import Encoder, Examples
from holdfast.data.readers.layout import arrange
from holdfast.errors import HoldfastWarning, OptionError
from holdfast.inspect.page import page_of
from holdfast.inspect.page.of_run import write_run_page
from holdfast.predictor import Predictor
from holdfast.tasks import ClassifyTask
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel

CLOSE = 1e-5


def trained(name: str, folder: Path, data: Path | None, *values: str) -> Path:
    """A run of a recipe, so short that it takes a moment."""
    small = recipes.load(name, ["train.limit=small", "train.max_steps=3", *values])
    return experiment.train(small, folder / name, data_dir=data).path


def html_of(run: Path, folder: Path) -> str:
    return write_run_page(run, folder / "page.html").path.read_text("utf-8")


def probabilities(page: Any) -> dict[str, float]:
    names, shares = page.evaluate("[holdfast.model.labels, Array.from(holdfast.answer.final)]")
    return dict(zip(names, shares, strict=True))


def settle(page: Any) -> None:
    """Waits until what was typed or drawn has been read."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_digits_are_drawn_and_read_row_by_row(tmp_path: Path, opened: Callable[..., Any]) -> None:
    run = trained("digits", tmp_path, None)
    page = opened(html_of(run, tmp_path), viewport={"width": 1000, "height": 900})
    predictor = Predictor(run)
    box = page.locator(".drawing").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()
    page.locator(".drawing").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    settle(page)
    drawn = page.evaluate("holdfast.input.value().input.map((row) => Array.from(row))")
    assert np.shape(drawn) == (8, 8)
    assert 0 < np.count_nonzero(drawn) < 64
    (expected,) = predictor.predict_values([np.array(drawn, np.uint8)])
    assert probabilities(page) == pytest.approx(expected["probabilities"], abs=CLOSE)
    assert page.locator(".verdict").inner_text() == expected["label"]
    # after three rows, as for a picture of three rows
    until(page, "holdfast.answer.shares.length === 8")
    page.locator(".inside input[type=range]").evaluate(
        "(slider) => { slider.value = 2; slider.dispatchEvent(new Event('input')); }"
    )
    (first,) = predictor.predict_values([np.array(drawn[:3], np.uint8)])
    shares = page.evaluate("Array.from(holdfast.answer.shares[2])")
    assert dict(zip(predictor.task.encoder.labels.classes, shares, strict=True)) == pytest.approx(
        first["probabilities"], abs=CLOSE
    )
    assert page.locator(".where").inner_text() == "row 3 (3 of 8)"


def test_names_are_typed(tmp_path: Path, real_data: Callable[[str], Path], opened: Callable[..., Any]) -> None:
    run = trained("names", tmp_path, real_data("names").parent)
    page = opened(html_of(run, tmp_path))
    predictor = Predictor(run)
    for name in ("Björnsson", "", "o", "Ünknøwn <end> 東"):
        page.locator(".typed input").fill(name)
        settle(page)
        (expected,) = predictor.predict_lines([name])
        assert probabilities(page) == pytest.approx(expected["probabilities"], abs=CLOSE)


def test_shakespeare_goes_on_as_the_command_line_does(
    tmp_path: Path, real_data: Callable[[str], Path], opened: Callable[..., Any]
) -> None:
    run = trained("shakespeare", tmp_path, real_data("tinyshakespeare").parent)
    page = opened(html_of(run, tmp_path))
    options = [["seed=7", "temperature=0.8", "length=60"], ["seed=3", "temperature=1.2", "top_k=8", "top_p=0.9"]]
    for prompt, settings in zip(("KING ~:", ""), options, strict=True):
        page.locator(".typed textarea").fill(prompt)
        for setting in settings:
            name, _, value = setting.partition("=")
            page.locator(f"[name={name}]").fill(value)
        page.get_by_role("button", name="Write").click()
        until(page, "!holdfast.answer.running")
        length = page.evaluate("Number(holdfast.answer.sampling.controls.length.value)")
        (expected,) = Predictor(run, options=[*settings, f"length={length}"]).predict_lines([prompt])
        assert page.locator(".written").text_content() == expected["text"]


def test_the_history_of_airline_is_moved(
    tmp_path: Path, real_data: Callable[[str], Path], opened: Callable[..., Any]
) -> None:
    run = trained("airline", tmp_path, real_data("timeseries").parent)
    page = opened(html_of(run, tmp_path), viewport={"width": 1000, "height": 900})
    predictor = Predictor(run)
    window = "holdfast.input.windows.at(-1)"
    history = [row[0] for row in page.evaluate(f"{window}.history")]
    times = page.evaluate(f"{window}.times")
    (column,) = page.evaluate("holdfast.input.targets")

    def expected() -> list[float]:
        (answer,) = predictor.predict_values({"Date": times[:24], column: list(map(float, history))})
        assert answer["times"] == times[24:]
        values: list[float] = answer["values"][column]
        return values

    def shown() -> list[float]:
        return [row[0][0] for row in page.evaluate("holdfast.input.forecast")]

    np.testing.assert_allclose(shown(), expected(), rtol=CLOSE)
    page.locator(".series input[type=number]").fill("700")
    settle(page)
    history[-1] = 700
    np.testing.assert_allclose(shown(), expected(), rtol=CLOSE)
    box = page.locator("svg.movable").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.up()
    settle(page)
    moved = [row[0] for row in page.evaluate("holdfast.input.history")]
    assert sum(a != b for a, b in zip(moved, history, strict=True)) == 1
    history = moved
    np.testing.assert_allclose(shown(), expected(), rtol=CLOSE)


def test_sums_are_added_in_bits(tmp_path: Path, opened: Callable[..., Any]) -> None:
    path = untrained.write("sums", tmp_path)
    page = opened(html_of(path, tmp_path))
    page.locator(".pair input").first.fill("99")
    settle(page)
    (expected,) = Predictor(path).predict_lines(["99 29"])
    assert page.locator(".verdict").inner_text().startswith(f"99 + 29 = {expected['sum']} (")
    page.locator(".pair input").first.fill("128")
    settle(page)
    assert page.locator("[role=status]").inner_text() == "Type two whole numbers from 0 to 127."


def test_sentences_get_tags(tmp_path: Path, opened: Callable[..., Any]) -> None:
    path = untrained.write("tag", tmp_path)
    page = opened(html_of(path, tmp_path))
    for sentence in ("row the boat", "unseen  wörds it <end> row-it"):
        page.locator(".typed input").fill(sentence)
        settle(page)
        (expected,) = Predictor(path).predict_lines([sentence])
        assert page.locator(".chip .tag").all_text_contents() == expected["tags"]
        assert page.locator(".chip .word").all_text_contents() == expected["words"]


@pytest.mark.parametrize("layout", ["rows", "columns", "pixels"])
def test_a_picture_is_read_in_the_layout_of_its_model(layout: Any, opened: Callable[..., Any]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
    examples = Examples(arrange(images, layout), list("ababab"), list("123456"))
    task = ClassifyTask(ClassifyModel(hidden_size=3), Encoder.fit(examples, ClassifyData(layout=layout)))
    page = opened(page_of(task, task.build().eval(), title="x", examples=examples))
    found = page.evaluate("holdfast.input.value().input.map((row) => Array.from(row))")
    np.testing.assert_array_equal(found, examples.inputs[0])
    assert page.evaluate("Array.from(holdfast.input.pixels)") == images[0].flatten().tolist()
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("Math.max(...holdfast.input.pixels)") == 0


# Files and errors


def test_files_give_the_examples(tmp_path: Path, opened: Callable[..., Any]) -> None:
    run = trained("digits", tmp_path, None)
    Image.fromarray((np.eye(8) * 255).astype(np.uint8)).save(tmp_path / "eye.png")
    write_run_page(run, tmp_path / "x.html", [tmp_path / "eye.png"])
    page = opened((tmp_path / "x.html").read_text("utf-8"))
    drawn = page.evaluate("holdfast.input.value().input.map((row) => Array.from(row))")
    np.testing.assert_array_equal(drawn, np.eye(8) * 255)


def test_a_run_without_its_data_has_a_page_without_examples(tmp_path: Path, opened: Callable[..., Any]) -> None:
    untrained.write("texts", tmp_path)
    recipe = recipes.load(str(tmp_path / "small.toml"), ["train.epochs=1"])
    run = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path).path
    (tmp_path / "train.csv").unlink()
    with pytest.warns(HoldfastWarning, match="^The page has no examples to begin with: "):
        html = html_of(run, tmp_path)
    page = opened(html)
    assert page.locator(".typed select").count() == 0
    assert page.locator(".verdict").inner_text() in ("yes", "no")


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = untrained.write("sums", tmp_path)
    out = tmp_path / "page.html"
    out.write_text("mine", "utf-8")
    with pytest.raises(OptionError) as error:
        write_run_page(path, out)
    assert str(error.value) == f"{out} already exists. Choose another file, or replace it with --force."
    assert out.read_text("utf-8") == "mine"
    assert write_run_page(path, out, force=True).size == len(out.read_bytes())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = untrained.write("sums", tmp_path)
    code, out, err = call(capsys, "page", path, tmp_path / "sums.html")
    size = (tmp_path / "sums.html").stat().st_size
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'sums.html'}: {size / 1e6:.2f} MB; open it in a browser.\n"
    code, out, err = call(capsys, "page", path, tmp_path / "small.html", "--max-mb", "0.01")
    assert (code, out) == (2, "")
    assert err.startswith("holdfast: The page would have ")
    assert not (tmp_path / "small.html").exists()
    code, _, err = call(capsys, "page", path, tmp_path / "nowhere" / "sums.html")
    assert code == 2
    reason = "cannot be written: No such file or directory. Choose another file."
    assert err == f"holdfast: {tmp_path / 'nowhere' / 'sums.html'} {reason}\n"
