"""Modules become one script."""

from __future__ import annotations

import re

import pytest

from holdfast.inspect.page import scripts

MODULES = sorted(path.name for path in scripts.FOLDER.iterdir() if path.name.endswith(".js"))


def test_every_module_is_part_of_the_page() -> None:
    found = re.findall(r'^modules\["([\w.-]+)"\]', scripts.bundled(), re.MULTILINE)
    assert sorted([*found, scripts.START]) == MODULES
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_comes_after_those_that_it_imports(name: str) -> None:
    script = scripts.bundled()
    for imported in re.findall(r'from "\./([\w-]+\.js)"', scripts.read(name)):
        assert script.index(f'modules["{imported}"] =') < script.index(
            f'modules["{name}"] =' if name != scripts.START else "start();"
        )


def test_the_forms_of_imports_and_exports() -> None:
    script = scripts.bundled('import { erf, sigmoid } from "./maths.js";\nerf(sigmoid(1));')
    assert script.startswith('const modules = {};\nmodules["maths.js"] = (() => {\n')
    assert re.search(r"\nreturn \{ erf, sigmoid, [\w, ]+ \};\n\}\)\(\);\n", script)
    assert script.endswith('const { erf, sigmoid } = modules["maths.js"];\nerf(sigmoid(1));')


@pytest.mark.parametrize("program", ['import x from "y";', "export default 1;", "const a = '</script>';"])
def test_another_form_is_a_mistake(program: str) -> None:
    with pytest.raises(AssertionError):
        scripts.bundled(program)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_small_and_uses_no_network(name: str) -> None:
    source = scripts.read(name)
    assert len(source.splitlines()) <= 300
    assert max(map(len, source.splitlines())) <= 120
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|innerHTML|outerHTML)\b|\b(eval|Function)\(", source
    )
