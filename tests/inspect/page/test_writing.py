"""The file: what it holds, what it refuses, and that no text of a model becomes part of the program."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks import untrained
from tests.tasks.test_model_file_versions import HERE

from holdfast import register
from holdfast.cells import CellSpec
from holdfast.data import Encoder, Examples, Records, TextEncoder
from holdfast.errors import OptionError
from holdfast.inspect.page import page_of, writing
from holdfast.inspect.page.prose import equations
from holdfast.predictor import Predictor
from holdfast.tasks import ClassifyTask, model_file
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel

HOSTILE = (
    "</script><script>window.stolen = 1</script>",
    "<!-- <script>",
    "\"'` ${window.stolen = 1} &lt;&amp;",
    "control \x00\x08\x1b\x7f\u2028\u2029 sign",
    "<img src=x onerror='window.stolen = 1'>",
    "x" * 300,
)


def text_classifier(labels: tuple[str, ...]) -> tuple[ClassifyTask, Any, Records[str, str]]:
    texts = [f"{label} {letter}" for label in labels for letter in "ab"]
    examples = Records(texts, [label for label in labels for _ in "ab"], [f"row <b>{k}</b>" for k in range(len(texts))])
    data = ClassifyData(unit="characters")
    task = ClassifyTask(ClassifyModel(hidden_size=3, embedding_size=2), TextEncoder.fit(examples, data))
    torch.manual_seed(0)
    return task, task.build().eval(), examples


def document_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', html, re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1])
    return document


def test_hostile_labels_tokens_and_titles_are_text(opened: Callable[..., Any]) -> None:
    task, model, examples = text_classifier(HOSTILE)
    html = page_of(task, model, title=HOSTILE[0], description=HOSTILE[4], examples=examples)
    page = opened(html)
    assert page.evaluate("window.stolen") is None
    assert page.locator("h1").inner_text() == HOSTILE[0]
    assert page.locator("header p").inner_text() == HOSTILE[4]
    assert page.evaluate("holdfast.model.labels") == list(task.encoder.labels.classes)
    names = page.locator(".bars .name").all_text_contents()
    assert sorted(names) == sorted(HOSTILE)
    assert page.locator("img, script:not([type])").count() == 0
    samples = page.evaluate("Array.from(document.querySelectorAll('.typed option'), (option) => option.textContent)")
    assert f"{HOSTILE[1]}: {HOSTILE[1]} a" in samples


def test_the_policy_allows_this_script_and_this_style_alone() -> None:
    task, model, _ = text_classifier(("yes", "no"))
    html = page_of(task, model, title="x")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    for name, element in (("script-src", r'<script type="module">'), ("style-src", "<style>")):
        content = re.search(rf"{element}(.*?)</(?:script|style)>", html, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert rules.pop(name) == f"'sha256-{digest}'"
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert re.findall(r'(?:src|href)="([^"]*)"', html.partition("<script type")[0]) == ["data:,"]


def test_a_script_that_is_not_the_pages_does_not_run(browser: Any) -> None:
    task, model, _ = text_classifier(("yes", "no"))
    html = page_of(task, model, title="x").replace("</main>", "</main><script>window.stolen = 1</script>")
    page = browser.new_page()
    page.set_content(html)
    assert page.evaluate("window.stolen") is None
    assert page.evaluate("holdfast.model.labels") == ["no", "yes"]
    page.close()


def test_the_same_model_gives_the_same_bytes() -> None:
    task, model, examples = text_classifier(("yes", "no"))
    assert page_of(task, model, title="x", examples=examples) == page_of(task, model, title="x", examples=examples)


def test_a_large_page_is_refused_with_its_size() -> None:
    task, model, _ = text_classifier(("yes", "no"))
    numbers = sum(parameter.numel() for parameter in model.parameters())
    with pytest.raises(OptionError) as error:
        page_of(task, model, title="x", max_mb=0.001)
    assert str(error.value) == (
        f"The page would have {numbers * 16 / 3e6:.1f} MB (weights alone); at most 0.001 MB are written. Allow more "
        "with --max-mb, or train a smaller model."
    )
    with pytest.raises(OptionError, match=r"^The page would have 0\.1 MB \(weights, examples and program\); at most"):
        page_of(task, model, title="x", max_mb=0.02)


@pytest.mark.parametrize(
    ("name", "part"), [("translate_attention", "decoder"), ("translate_plain", "decoder")], ids=["attention", "plain"]
)
def test_a_part_that_the_page_lacks_is_named(name: str, part: str) -> None:
    task, model = model_file.load(HERE / "files_v2" / f"{name}.safetensors")
    with pytest.raises(OptionError) as error:
        page_of(task, model, title="x")
    assert str(error.value) == (
        f"The model has the part {part!r}, which the page lacks; it runs models of the parts "
        f"{', '.join(writing.PARTS)}. holdfast predict runs this model."
    )


def test_a_task_without_an_input_for_pages_is_named() -> None:
    task, model = model_file.load(HERE / "files_v2" / "transcribe_live.safetensors")
    with pytest.raises(OptionError) as error:
        page_of(task, model, title="x")
    assert str(error.value) == (
        "No page runs a model of the task 'transcribe'; it runs models that classify, regress, tag, forecast or "
        "generate."
    )


def test_a_head_of_your_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "_PARTS", {kind: dict(parts) for kind, parts in register._PARTS.items()})

    class First(torch.nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()

        def forward(self, outputs: torch.Tensor, lengths: Any) -> torch.Tensor:
            return outputs[:, 0]

    register.head("first of the page tests")(First)
    examples = Examples(np.zeros((4, 5, 2), np.float32), list("abab"), list("1234"))
    task = ClassifyTask(
        ClassifyModel(hidden_size=3, head="first of the page tests"), Encoder.fit(examples, ClassifyData())
    )
    with pytest.raises(
        OptionError, match=r"^The model has the head 'first of the page tests', which is no part of Hold"
    ):
        page_of(task, task.build().eval(), title="x")


def test_weights_that_are_shared_are_written_once(tmp_path: Path) -> None:
    predictor = Predictor(untrained.write("generate", tmp_path))
    places = {
        name: begin for name, begin, _ in document_of(page_of(predictor.task, predictor.model, title="x"))["tensors"]
    }
    assert places["embedding.weight"] == places["output.weight"] == 0


def test_equations_are_those_of_the_options() -> None:
    spec = CellSpec(kind="lstm", input_size=3, hidden_size=4, peepholes=True, activation="relu", zoneout_h=0.1)
    assert equations(spec).splitlines()[:1] == ["i  = σ(W_ii x + b_ii + W_hi h + b_hi)               input gate"]
    assert equations(spec).splitlines()[6:] == [
        "",
        "x: 3 values, h: 4 values; φ = relu, σ = sigmoid",
        "",
        "peepholes          i, f see p_i ⊙ c, p_f ⊙ c and o sees p_o ⊙ c' inside σ     (Gers & Schmidhuber 2000)",
        "zoneout_h = 0.1",
    ]
    before = equations(CellSpec(kind="gru", input_size=3, hidden_size=4, reset_after=False))
    assert "before the product" in before
    assert "after the product" not in before
