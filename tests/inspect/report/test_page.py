"""The report as a file: complete, safe with hostile names, small, and the same bytes for the same facts."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from holdfast.inspect.facts import Facts, Setting
from holdfast.inspect.report import LARGEST, render
from holdfast.tasks.presentation import Case, Curves, Line, Table, Text, Word, Words
from made_facts import HOSTILE, facts, hostile


class Page(HTMLParser):
    """The elements of a page, its text outside of style and script, and its JSON."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.json, self.style = "", "", ""
        self._inside: list[str] = []
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self.text += "" if tag in ("b", "bdi", "code", "small", "span") else " "
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            setattr(self, *("json", self.json + data) if self._inside[-1] == "script" else ("style", self.style + data))
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def content() -> bytes:
    return render(facts())


@pytest.fixture(scope="module")
def page(content: bytes) -> Page:
    return Page(content)


@pytest.fixture(scope="module")
def attacked() -> bytes:
    return render(hostile())


def test_what_was_trained_on_what_is_told(page: Page) -> None:
    text = " ".join(page.text.split())
    for words in (
        "small A small classifier.",
        "train 80 sequences 400 steps",
        "test 20 sequences 100 steps",
        "92",
        "3 epochs 30 updates 1.5 seconds",
        "model.hidden_size 3 64",
        "train.epochs 3 auto",
        "recurrent, layer 0: native. Not cudnn: the tensors are on the CPU.",
        "Python 3.11.2, holdfast 0.1.0.",
        "Epoch 3, whose weights were kept metric training validation loss 0.3333 0.3667 accuracy 0.8333 0.8000",
        "model 0.4000 0.9000 always a 0.5500",
        "b 0.7778 9",
        "The worst mistakes",
        "3 of these 4 are mistakes.",
        "right: b answer: a",
        "a text",
        "boat V, right: N",
        "one.csv[1]; error 3.5; probability 97 %",
        "2 of 3 forget gates are open.",
        "How unexpected (nats)",
        "The darkest shade is 2; values below 0 are underlined.",
    ):
        assert words in text, words


def test_it_loads_nothing_and_has_no_script(page: Page, content: bytes) -> None:
    assert page.all("script") == [{"type": "application/json", "id": "facts"}]
    assert not {"link", "iframe", "object", "embed", "base", "form", "audio", "video"} & {
        tag for tag, _ in page.elements
    }
    assert [name for _, named in page.elements for name in named if name.startswith("on")] == []
    places = [*page.attributes("src"), *page.attributes("href")]
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in places)
    assert re.findall(r"url\((?!#)", content.decode()) == []
    assert "@import" not in page.style
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert b"http:" not in content.replace(b'"http://www.w3.org/', b"")
    assert b"https:" not in content


def test_each_picture_has_words(page: Page) -> None:
    pictures = [named for tag, named in page.elements if named.get("role") == "img"]
    assert len(pictures) == len(page.all("svg")) + len(page.all("img")) == 8
    words = [str(named["aria-label"]) for named in pictures]
    assert len(set(words)) == len(words)
    assert "Confusion matrix of 2 labels: 18 of 20 right; b taken for a: 2." in words
    assert any("loss on the training batches: from 1 to 0.3333" in each for each in words)
    assert any(
        "hidden state: 90 % within 3 steps; recurrent.l0, cell state: 90 % within 4 steps" in each for each in words
    )
    assert all(named["alt"] == "" for named in page.all("img"))
    assert all(named["aria-hidden"] == "true" for named in page.all("svg"))


def test_ids_are_unique_and_references_lead_to_them(page: Page, content: bytes) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    wanted = re.findall(r"url\(#([^)]+)\)", content.decode()) + [
        href[1:] for href in page.attributes("href") if href[:1] == "#"
    ]
    assert set(wanted) <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


def test_the_headings_are_an_outline(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.all("html") == [{"lang": "en"}]
    assert all(table_head.get("scope") == "col" for table_head in page.all("th"))


def test_tokens_are_shaded_by_their_values(content: bytes) -> None:
    (passage,) = re.findall(r'<div class="passage" dir="auto">(.*?)</div>', content.decode())
    assert passage == 'f<span class="v2">i</span><span class="v8">v</span><span class="n4">e</span>s'


def test_the_values_are_in_it_as_json(page: Page) -> None:
    values = json.loads(page.json)
    assert values["results"] == {"loss": 0.4, "accuracy": 0.9}
    assert values["figures"]["confusion"]["counts"] == [[11, 0], [2, 7]]
    assert values["history"][0]["train"] == {"loss": 1.0, "accuracy": 0.5}
    assert values["worst"][0] == {"origin": "one.csv[1]", "error": 3.5, "wrong": True}
    assert values["recipe"]["model.hidden_size"] == "3"


def test_the_same_facts_give_the_same_bytes(content: bytes) -> None:
    assert render(facts()) == content


def test_the_figures_have_the_colours_of_the_page(page: Page) -> None:
    """Every colour in a figure is a variable, which the page sets for light, for dark and for print."""
    used = {name for style in page.attributes("style") for name in re.findall(r"var\((--\w+)\)", style)}
    used |= set(re.findall(r"var\((--\w+)\)", page.style))
    themes = re.findall(r":root \{(.*?)\}", page.style, re.DOTALL)
    assert len(themes) == 3
    for theme in themes:
        assert used <= set(re.findall(r"(--\w+):", theme))
    fixed = [style for style in page.attributes("style") if re.search(r"#[0-9a-f]{6}", style)]
    assert len(fixed) <= 40  # of the colour map of signed values and its scale
    assert "prefers-color-scheme: dark" in page.style
    assert "@media print" in page.style


def contrast(first: str, second: str) -> float:
    """The contrast of two colours as WCAG 2 defines it."""
    lights = []
    for color in (first, second):
        parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_text_can_be_read_in_light_and_dark(page: Page) -> None:
    for theme in re.findall(r":root \{(.*?)\}", page.style, re.DOTALL):
        colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        for ground in ("paper", "panel"):
            assert contrast(colors["ink"], colors[ground]) >= 7
            assert contrast(colors["muted"], colors[ground]) >= 4.5
            for name in ("blue", "vermilion", "green", "purple", "orange", "sky"):
                assert contrast(colors[name], colors[ground]) >= 3, name


def test_hostile_names_are_text(page: Page, attacked: bytes) -> None:
    found = Page(attacked)
    allowed = {tag for tag, _ in page.elements} | {"p", "small", "span", "br", "ul", "li"}
    assert {tag for tag, _ in found.elements} <= allowed
    assert found.all("script") == [{"type": "application/json", "id": "facts"}]
    names = {name for _, named in found.elements for name in named}
    assert not {name for name in names if name.startswith("on")}
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7 * 7 }}{% raw %}" in found.text
    assert "⟨U+202E⟩exe.gpj⟨U+2066⟩⟨U+200F⟩" in found.text
    assert "⟨U+0000⟩⟨U+001B⟩[31m" in found.text
    assert "⟨U+DC80⟩ half" in found.text
    assert "$\\frac{1}{$ _x_ **b** | `c` [l](javascript:alert(1)) &lt;" in found.text
    values = json.loads(found.json)
    assert HOSTILE[0] in values["results"]
    text = attacked.decode()
    odd = {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn")}
    assert odd <= {"\n", "\t"}


def test_hostile_names_in_pictures_are_text(attacked: bytes) -> None:
    figures = re.findall(r"<svg.*?</svg>", attacked.decode(), re.DOTALL)
    assert figures
    for figure in figures:
        assert set(re.findall(r"<(\w+)", figure)) <= {
            "svg",
            "defs",
            "g",
            "path",
            "use",
            "text",
            "tspan",
            "image",
            "clipPath",
            "rect",
        }
        assert not re.search(r"<\w[^>]*\son\w+=", figure)


def large() -> Facts:
    """Facts with too much of everything: labels, settings, layers, epochs, steps, and long texts."""
    made = facts()
    labels = [f"label {k} {'x' * 200}" for k in range(1000)]
    inside = made.inside
    assert inside is not None
    steps = np.random.default_rng(0).random((20_000, 50), np.float32)
    layer = replace(inside.layers[0], gates={"forget": steps}, states={"cell": steps - 0.5})
    long = "<&>" * 400_000
    curves = Curves(
        (
            Line("truth", np.arange(20_000), steps[:, 0], "truth"),
            Line("answer", np.arange(20_000), steps[:, 1], "answer"),
        )
    )
    return replace(
        made,
        name=long,
        description=long,
        settings=tuple(Setting(f"data.{'k' * 100}{k}", "v" * 9999, long, "set") for k in range(500)),
        rows=[{**made.rows[0], "epoch": k, "step": k, "best": k == 9_999} for k in range(20_000)],
        results={f"metric {k}": 0.5 for k in range(40)},
        comparison={"model": {f"metric {k}": 0.5 for k in range(40)}},
        tables=(Table("Each label", ("label", "f1"), tuple((label, 0.5) for label in labels)),),
        figures={
            "confusion": {"labels": labels, "counts": np.eye(1000, dtype=int).tolist()},
            "labels": {label: {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "count": 7} for label in labels},
        },
        cases=(
            Case(long, 1.0, True, "", "", Words((Word("<&>" * 100, "y" * 300, "z" * 300),) * 5000)),
            *(Case(long, 1.0, True, long, long, Text(long), long) for _ in range(3)),
            *(Case(long, 1.0, True, "", "", curves) for _ in range(3)),
        ),
        sample=long,
        inside=replace(inside, layers=(layer,) * 4, norms={str(k): {"hidden": steps[:1000, k]} for k in range(4)}),
    )


def test_too_much_of_everything_is_cut_with_a_word() -> None:
    content = render(large())
    assert len(content) <= LARGEST
    page = Page(content)
    text = " ".join(page.text.split())
    assert "940 more rows are not shown" in text
    assert "380 more values are in" in text
    assert "pictures and examples are left out, because the page would be too large." in text
    assert "(1,199,880 characters more)" in text
    json.loads(page.json)


def test_a_long_sentence_is_cut_with_a_word() -> None:
    long = Case("x", 1.0, True, "", "", Words((Word("<&>" * 100, "y" * 300, "z" * 300),) * 5000))
    content = render(facts(cases=(long,), inside=None))
    assert "4940 more words are not shown" in Page(content).text
    assert len(content) < 120_000


def test_what_does_not_fit_is_left_out_from_the_end(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    from holdfast.inspect.report import page as module

    monkeypatch.setattr(module, "LARGEST", len(content) - 1)
    found = " ".join(Page(render(facts())).text.split())
    assert "1 pictures and examples are left out" in found
    assert "four.csv[4]" not in found
    assert "three.csv[3]" in found


def test_a_run_without_data_says_so() -> None:
    bare = facts(
        results={}, comparison={}, tables=(), figures={}, cases=(), inside=None, rows=[], missing=("No data.",)
    )
    page = Page(render(bare))
    assert "No data." in page.text
    assert "How good it is" not in page.text
    assert page.all("svg") == []


def test_right_answers_are_no_mistakes() -> None:
    right = tuple(replace(case, wrong=False) for case in facts().cases)
    text = " ".join(Page(render(facts(cases=right))).text.split())
    assert "Where it is least sure" in text
    assert "All of these answers are right." in text


def test_numbers_that_are_not_finite_are_null_in_the_json() -> None:
    found = Page(render(facts(results={"loss": float("nan"), "perplexity": float("inf")})))
    assert json.loads(found.json)["results"] == {"loss": None, "perplexity": None}
