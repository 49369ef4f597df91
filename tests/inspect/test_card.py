"""The model card: metadata that the Hugging Face Hub reads, and Markdown that shows hostile names as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from holdfast.inspect.card import card, markdown
from made_facts import HOSTILE, facts, hostile

hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'holdfast[text]'")
markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py, which rich brings")


def rendered(text: str) -> str:
    """The body of a card as HTML, as a hub shows it: with tables, and with HTML that the text has."""
    body = text.partition("\n---\n")[2]
    return str(markdown_it.MarkdownIt("commonmark").enable("table").render(body))


def metadata(text: str) -> Any:
    return hub.ModelCard(text).data


def test_the_metadata_are_those_of_a_model_card() -> None:
    data = metadata(card(facts()))
    assert data.library_name == "holdfast"
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["holdfast", "recurrent-neural-network", "lstm", "classify"]
    assert data.model_name == "small"
    found = {each.metric_type: each.metric_value for each in data.eval_results}
    assert found == {"loss": 0.4, "accuracy": 0.9}
    assert {each.dataset_name for each in data.eval_results} == {"files"}
    assert {each.task_type for each in data.eval_results} == {"text-classification"}
    again = hub.ModelCardData(**hub.ModelCard(card(facts())).data.to_dict())
    assert again.to_dict() == data.to_dict()


def test_a_task_without_a_name_on_the_hub_has_no_pipeline_tag() -> None:
    data = metadata(card(facts(pipeline_tag="")))
    assert "pipeline_tag" not in data.to_dict()
    assert {each.task_type for each in data.eval_results} == {"other"}


def test_the_text_says_how_to_use_it_and_how_good_it_is() -> None:
    shown = rendered(card(facts()))
    assert shown.startswith("<h1>small</h1>")
    assert "predictor = Predictor(&quot;model.safetensors&quot;)" in shown
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)]
    assert ["model", "0.4000", "0.9000"] in rows
    assert ["always a", "", "0.5500"] in rows
    assert ["b", "0.7778", "9"] in rows
    assert ["train", "80 sequences, 400 steps"] in rows
    assert ["model.hidden_size", "3"] in rows
    assert "data.source" not in shown  # it has its default


def test_hostile_names_are_text() -> None:
    text = card(hostile())
    data = metadata(text)
    assert data.to_dict().get("license") is None
    assert HOSTILE[0] in {each.metric_type for each in data.eval_results}
    shown = rendered(text)
    assert set(re.findall(r"<(\w+)", shown)) <= {
        "h1", "h2", "h3", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"
    }  # fmt: skip
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "_x_ **b** | `c` [l](javascript:alert(1)) &amp;lt;" in shown
    assert "javascript" not in "".join(re.findall(r"href=\"([^\"]*)", shown))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)


def test_a_thousand_labels_are_cut_with_a_word() -> None:
    from holdfast.tasks.presentation import Table

    many = Table("Each label", ("label", "f1"), tuple((f"label {k}", 0.5) for k in range(1000)))
    text = card(facts(tables=(many,)))
    assert "970 more rows are not shown." in text
    assert len(text) < 20_000


def test_a_run_without_metrics_has_no_index() -> None:
    data = metadata(card(facts(results={}, comparison={}, tables=())))
    assert data.eval_results is None


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_every_sign(name: str) -> None:
    shown = markdown_it.MarkdownIt("commonmark").enable("table").render(f"| a |\n|---|\n| {markdown(name)} |\n")
    assert shown.count("<td>") == 1
    assert set(re.findall(r"<(\w+)", shown)) == {"table", "thead", "tbody", "tr", "th", "td"}
