from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.errors import OptionError
from holdfast.tf1 import graph as tf
from holdfast.tf1.graph.command_flags import FLAGS


@pytest.fixture(autouse=True)
def _flags(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FLAGS.__dict__.update(_defined={}, _parsed=False, _others=[])
    monkeypatch.setattr("sys.argv", ["program.py"])
    tf.flags.DEFINE_string("data_dir", "data", "Folder.")
    tf.app.flags.DEFINE_integer("steps", 10, "Steps.")
    tf.flags.DEFINE_float("rate", 0.5, "Rate.")
    tf.flags.DEFINE_bool("train", True, "Whether to train.")
    tf.flags.DEFINE_boolean("verbose", False, "Whether to say more.")
    tf.flags.DEFINE_list("sizes", "1,2", "Sizes.")
    tf.flags.DEFINE_enum("cell", "lstm", ["lstm", "gru"], "Cell.")
    yield
    FLAGS.__dict__.update(_defined={}, _parsed=False, _others=[])


def values() -> dict[str, object]:
    found: dict[str, object] = tf.flags.FLAGS.flag_values_dict()
    return found


def test_without_arguments() -> None:
    assert values() == {
        "data_dir": "data", "steps": 10, "rate": 0.5, "train": True, "verbose": False, "sizes": ["1", "2"],
        "cell": "lstm",
    }  # fmt: skip


def test_every_form_of_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--data_dir=a=b --steps 0x10 -rate=1e-3 --notrain --verbose x --sizes=3,4,5 --cell gru --other=1 --nosuch"
    monkeypatch.setattr("sys.argv", ["program.py", *words.split()])
    assert values() == {
        "data_dir": "a=b", "steps": 16, "rate": 0.001, "train": False, "verbose": True, "sizes": ["3", "4", "5"],
        "cell": "gru",
    }  # fmt: skip
    assert FLAGS() == ["program.py", "x", "--other=1", "--nosuch"]


@pytest.mark.parametrize(
    ("words", "value"),
    [(["--train=False"], False), (["--train", "false"], False), (["--train"], True), (["--", "--notrain"], True)],
)
def test_true_and_false(words: list[str], value: bool) -> None:
    tf.flags.FLAGS(["program.py", *words])
    assert tf.flags.FLAGS.train is value


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--steps=1.5", "--steps got '1.5'; expected a whole number."),
        ("--rate=fast", "--rate got 'fast'; expected a number."),
        ("--train=maybe", "--train got 'maybe'; expected true or false."),
        ("--cell=rnn", "--cell got 'rnn'; expected one of lstm, gru."),
        ("--steps", "--steps has no value; expected one: --steps=VALUE."),
    ],
)
def test_a_wrong_value(word: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        FLAGS(["program.py", word])
    assert str(error.value) == message


def test_the_ways_in_which_programs_look_at_their_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["program.py", "--steps=3"])
    found = tf.flags.FLAGS
    found._parse_flags()
    written = [f"{name.upper()}={value}" for name, value in sorted(getattr(found, "__flags").items())]
    assert written[:2] == ["CELL=lstm", "DATA_DIR=data"]
    assert getattr(found, "__flags")["steps"].value == 3
    assert found["steps"].value == 3
    assert "steps" in found
    assert len(found) == len(list(found)) == 7
    found.steps = 4
    tf.flags.DEFINE_integer("late", 1, "Defined after the arguments were read.")
    assert (found.steps, found.late) == (4, 1)
    found.__delattr__("late")
    with pytest.raises(AttributeError, match="The program has no flag 'stepz'; did you mean 'steps'"):
        found.stepz  # noqa: B018


def test_a_flag_that_is_required() -> None:
    tf.flags.DEFINE_string("model", None, "Model.")
    tf.flags.mark_flag_as_required("model")
    with pytest.raises(OptionError, match="The program needs --model; expected a value, as in --model=VALUE"):
        tf.flags.FLAGS.steps  # noqa: B018
    assert FLAGS(["program.py", "--model=m"]) == ["program.py"]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        FLAGS(["program.py", "--help"])
    assert end.value.code == 0
    assert "  --steps=10  Steps.\n" in capsys.readouterr().out


def test_run_calls_main_with_the_other_arguments() -> None:
    calls: list[list[str]] = []

    def main(argv: list[str]) -> int:
        calls.append([*argv, str(FLAGS.steps)])
        return 3

    with pytest.raises(SystemExit) as end:
        tf.app.run(main, ["p.py", "--steps=5", "file"])
    assert end.value.code == 3
    assert calls == [["p.py", "file", "5"]]


def test_a_flag_may_have_any_name() -> None:
    for name in ("flags", "parsed", "others", "help_text"):
        tf.flags.DEFINE_string(name, name, "Text.")
    assert [getattr(FLAGS, name) for name in ("flags", "parsed", "others")] == ["flags", "parsed", "others"]
