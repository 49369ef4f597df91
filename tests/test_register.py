"""Parts of your own by name."""

import subprocess
import sys

import pytest

import holdfast
from holdfast import register
from holdfast.errors import OptionError
from own_parts import Counter, MinGRU


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch):
    monkeypatch.setattr(register, "_PARTS", {kind: {} for kind in register._PARTS})


def test_a_registered_part_is_found_by_its_name():
    assert holdfast.register.cell("mingru")(MinGRU) is MinGRU
    assert register.find("cell", "mingru") is MinGRU
    assert register.is_registered("cell", "mingru")
    assert not register.is_registered("head", "mingru")


def test_an_unknown_name_says_what_is_known_and_how_to_import():
    register.cell("mingru")(MinGRU)
    with pytest.raises(OptionError, match=r"no cell 'minigru': did you mean 'mingru'\? .* by --import FILE"):
        register.find("cell", "minigru")


def test_names_of_holdfast_and_of_others_are_taken():
    with pytest.raises(OptionError, match="Holdfast has a cell 'lstm' itself"):
        register.cell("lstm")
    register.cell("mine")(MinGRU)
    with pytest.raises(OptionError, match=r"There is already a cell 'mine', from own_parts\.MinGRU"):
        register.cell("mine")(Counter)
    with pytest.raises(OptionError, match="expected a class or a function"):
        register.cell("other")(3)
    with pytest.raises(OptionError, match="expected a text"):
        register.cell("")


def test_the_same_class_of_a_notebook_cell_that_runs_again_takes_the_place_of_the_first():
    again = type("MinGRU", (MinGRU,), {"__module__": MinGRU.__module__, "__qualname__": MinGRU.__qualname__})
    register.cell("mingru")(MinGRU)
    register.cell("mingru")(again)
    assert register.find("cell", "mingru") is again


def test_a_class_given_as_it_is_gets_the_name_of_its_class():
    assert register.name_of("cell", "lstm") == "lstm"
    assert register.name_of("cell", MinGRU) == "MinGRU"
    assert register.find("cell", "MinGRU") is MinGRU
    register.cell("mingru")(Counter)
    assert register.name_of("cell", Counter) == "mingru"


def test_a_file_and_a_module_are_imported(tmp_path, monkeypatch):
    file = tmp_path / "parts_in_a_file.py"
    file.write_text("from holdfast import register\nregister.metric('zero')(lambda outputs, targets: 0.0)\n")
    register.import_parts(str(file))
    register.import_parts(str(file))  # once is enough
    assert register.is_registered("metric", "zero")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "parts_in_a_module.py").write_text("from holdfast.register import loss\nloss('none')(print)\n")
    register.import_parts("parts_in_a_module")
    assert register.find("loss", "none") is print


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('not today')", "failed: ValueError: not today"),
        ("import nothing_of_this_name", "failed: ModuleNotFoundError"),
        ("this is no Python", "failed: SyntaxError"),
    ],
)
def test_a_file_that_fails_is_an_error_that_says_why(tmp_path, text, message):
    file = tmp_path / "parts_that_fail.py"
    file.write_text(text)
    with pytest.raises(OptionError, match=message):
        register.import_parts(str(file))
    assert "parts_that_fail" not in sys.modules


def test_a_file_that_is_missing_or_has_the_name_of_a_module_is_an_error(tmp_path):
    with pytest.raises(OptionError, match="There is no file"):
        register.import_parts(str(tmp_path / "none.py"))
    (tmp_path / "json.py").write_text("")
    import json

    assert json is sys.modules["json"]
    with pytest.raises(OptionError, match="there is already a module 'json'"):
        register.import_parts(str(tmp_path / "json.py"))
    with pytest.raises(OptionError, match="Importing no_such_module failed"):
        register.import_parts("no_such_module")


def test_registering_needs_no_torch():
    program = "import sys; import holdfast; holdfast.register.cell; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
