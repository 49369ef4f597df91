"""A model of each kind, also of older versions: what its page says beside what Predictor says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inspect.page.waiting import until
from tests.tasks import untrained
from tests.tasks.test_model_file_versions import ANSWERS, HERE

from holdfast.inspect.page import page_of
from holdfast.predictor import Predictor

CLOSE = 1e-5
MODELS = [*untrained.SMALL, *(name for name in ANSWERS if "task" in ANSWERS[name])]
TYPED = ("a film", "good  bad naïve!", "1", "")
RUN = """() => {
  const value = holdfast.input.value();
  const result = holdfast.model.run(value.input, value);
  const rows = Array.isArray(result.value) ? result.value : [result.value];
  return rows.map((row) => Array.from(row));
}"""

pytestmark = pytest.mark.filterwarnings("ignore:.*has no digest")


def scores(predictor: Predictor, examples: Any) -> np.ndarray:
    """What the network of a task gives for one example, [rows, values]."""
    task = predictor.task

    def compute(model: Any, batch: Any) -> torch.Tensor:
        if task.name == "tag":
            return task._scores(model, batch)[0]
        return model(batch.inputs, batch.lengths)[0]

    (found,) = predictor.compute(examples, compute)
    return np.atleast_2d(found[0].double().numpy())


def restored(predictor: Predictor, values: np.ndarray) -> np.ndarray:
    """The values of a regressor in the units of its targets."""
    encoder = predictor.task.encoder
    rows = torch.from_numpy(values).reshape(len(values), len(encoder.targets), -1)
    return encoder.targets.restored(rows.sort(-1).values).flatten(1).numpy()


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith(("translate", "transcribe"))])
def test_a_page_says_what_predictor_says(name: str, tmp_path: Path, opened: Callable[..., Any]) -> None:
    path = untrained.write(name, tmp_path) if name in untrained.SMALL else HERE / "files_v2" / name
    predictor = Predictor(path)
    task = predictor.task
    examples = None
    if task.name == "forecast":
        made = "panel.csv" if name == "panel" else "series.csv"
        ((file, text),) = (ANSWERS[name]["files"] if name in ANSWERS else {made: untrained.FILES[made]}).items()
        (tmp_path / file).write_text(text, "utf-8")
        examples = predictor.read([tmp_path / file])
    page = opened(page_of(task, predictor.model, title=name, examples=examples))
    kinds = page.evaluate("[holdfast.page.input.kind, holdfast.page.answer.kind]")
    assert kinds == [task.interface().input.kind, task.interface().answer.kind]
    assert page.locator(".wrong:visible").count() == 0
    if task.name == "forecast":
        compare_forecast(page, predictor, examples)
        return
    if kinds[0] == "pairs":
        for place, number in enumerate((13, 9)):
            page.locator(".pair input").nth(place).fill(str(number))
        (answer,) = predictor.predict_lines(["13 9"])
        until(page, f"document.querySelector('.verdict').textContent.startsWith('13 + 9 = {answer['sum']} (')")
        compare(page, predictor, task.from_lines(["13 9"]))
        return
    if kinds[0] in ("numbers", "image"):
        rows = np.random.default_rng(0).integers(0, 200, (6, task.interface().input.channels))
        page.locator("textarea").fill("\n".join(",".join(map(str, row)) for row in rows.tolist()))
        compare(page, predictor, task.from_values([rows.astype(np.uint8)]))
        return
    for text in TYPED:
        if text or kinds[0] == "text":
            page.locator(".typed input, .typed textarea").fill(text)
            compare(page, predictor, task.from_lines([text]))


def compare(page: Any, predictor: Predictor, examples: Any) -> None:
    expected = scores(predictor, examples)
    if predictor.task.name == "regress":
        expected = restored(predictor, expected)
    np.testing.assert_allclose(page.evaluate(RUN), expected, rtol=0, atol=CLOSE * max(1, np.abs(expected).max()))


def compare_forecast(page: Any, predictor: Predictor, examples: Any) -> None:
    """Every window of the page that ends with its series."""
    answers = list(predictor.answer(examples))
    count = page.evaluate("holdfast.input.windows.length")
    for place, answer in enumerate(answers, start=count - len(answers)):
        page.evaluate("(place) => holdfast.input.open(place, true)", place)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        forecast = np.array(page.evaluate("holdfast.input.forecast"))  # [H, C, Q]
        quantiles = answer.get("quantiles") or {key: {"0.5": row} for key, row in answer["values"].items()}
        expected = np.array([list(levels.values()) for levels in quantiles.values()]).transpose(2, 0, 1)
        np.testing.assert_allclose(forecast, expected, rtol=CLOSE, atol=CLOSE)
        window = page.evaluate("holdfast.input.window")
        assert window["times"][-len(forecast) :] == [str(time) for time in answer["times"]]
