"""The files of the page: plain, from this server alone, and shared with the pages that run a model."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")

from holdfast.inspect.page import scripts
from holdfast.serve.description import STYLE_HASH
from holdfast.serve.page import static

EXPORT = re.compile(r"^export (?:async function\*?|function|class|const) (\w+)", re.MULTILINE)


def test_each_import_is_a_file_and_each_name_is_exported() -> None:
    files = {name: content.decode() for name, content in static.contents().items()}
    used = set()
    for name, text in files.items():
        for names, module in re.findall(r'^import \{([^}]*)\} from "\./([\w.]+)";$', text, re.MULTILINE):
            exported = re.findall(
                r"^export (?:async function\*?|function|class|const) (\w+)", files[module], re.MULTILINE
            )
            wanted = {each.strip() for each in names.split(",")}
            assert wanted <= set(exported), (name, module)
            used |= {(module, each) for each in wanted}
            for each in wanted:
                assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{name} imports {each} and does not use it"
    own = [path.name for path in static.OWN.iterdir() if path.name.endswith(".js")]
    for name in own:
        for export in re.findall(
            r"^export (?:async function\*?|function|class|const) (\w+)", files[name], re.MULTILINE
        ):
            assert (name, export) in used or files[name].count(export) > 1, f"nothing uses {export} of {name}"


def test_the_scripts_of_widgets_are_in_one_folder() -> None:
    shared = {path.name for path in scripts.FOLDER.iterdir()} - {"__init__.py"}
    own = {path.name for path in static.OWN.iterdir()} - {"__init__.py"}
    assert not shared & own
    assert {"draw.js", "series.js", "inside.js", "answers.js"} <= shared


def test_nothing_is_inline_or_from_another_host() -> None:
    page = static.OWN.joinpath("index.html").read_text("utf-8")
    assert not re.search(r"\son\w+=|style=|javascript:|<style|https?://|src=\"//", page, re.IGNORECASE)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page) == [""]
    for name, content in static.contents().items():
        assert not re.search(rb"https?://(?!www\.w3\.org/)", content), name
        assert max(map(len, content.decode().splitlines())) <= 120, name
        assert len(content.decode().splitlines()) <= 300, name


def test_the_policy_allows_this_server_alone() -> None:
    sources = {part.split()[0]: part.split()[1:] for part in static.POLICY.split("; ")}
    assert sources["default-src"] == ["'none'"]
    assert sources["script-src"] == sources["connect-src"] == ["'self'"]
    assert sources["style-src"] == ["'self'", STYLE_HASH]
    assert not any("unsafe" in value or "*" in value for values in sources.values() for value in values)
