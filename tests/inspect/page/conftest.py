"""The programs of pages in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.inspect.page.scripts import bundled

# What the tests call, on `window`.
PROGRAM = """
import { Model } from "./chain.js";
import { erf } from "./maths.js";
import { crc32, randomNumbers } from "./random.js";
import { draw, probabilities } from "./sampling.js";
import { Vocabulary } from "./vocabulary.js";

const plain = (value) => (Array.isArray(value) ? value.map((row) => Array.from(row)) : Array.from(value));
const entries = (map) => Object.fromEntries([...map].map(([name, values]) => [name, Array.from(values)]));

function compute({ chain, tensors, inputs, future }) {
  const float32 = ([name, values]) => [name, Float32Array.from(values)];
  const model = new Model(chain, new Map(Object.entries(tensors).map(float32)));
  const { value, recordings } = model.run(inputs, { future });
  const shown = ({ name, gates, states }) => ({ name, gates: entries(gates), states: entries(states) });
  return { value: plain(value), recordings: recordings.map(shown) };
}

Object.assign(window, { compute, crc32, draw, erf, probabilities, randomNumbers, Vocabulary });
"""


@pytest.fixture(scope="module")
def runtime(browser: Any) -> Iterator[Any]:
    """A browser's page with the programs that compute, and nothing to see."""
    page = browser.new_page()
    page.set_content(f"<!DOCTYPE html><title>runtime</title><script>{bundled(PROGRAM)}</script>")
    yield page
    page.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the HTML of a page; at the end of the test, there must have been no error and no request."""
    contexts, problems = [], []

    def opened(html: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.route("**/*", lambda route: (problems.append(f"request: {route.request.url}"), route.abort()))
        page.set_content(html)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
