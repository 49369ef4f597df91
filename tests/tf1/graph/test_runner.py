from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.tf1.graph import runner

Program = Callable[..., ModuleType]


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "holdfast.tf1", *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)


FAILING = """\
import sys
import tensorflow as tf
import part

def build(x):
    return part.product(x, tf.ones([4, 2]))

print(__name__, __file__, sys.argv, sys.path[0])
build(tf.placeholder(tf.float32, [None, 3]))
"""
PART = """\
import tensorflow as tf
from tensorflow.contrib import rnn

def product(a, b):
    return tf.matmul(a, b)
"""


def test_a_process_of_a_program_that_fails(tmp_path: Path) -> None:
    folder = tmp_path / "lesson"
    folder.mkdir()
    (folder / "program.py").write_text(FAILING)
    (folder / "part.py").write_text(PART)
    done = command("lesson/program.py", "--rate=2", "-x", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == f"__main__ lesson/program.py ['lesson/program.py', '--rate=2', '-x'] {folder}\n"
    lines = [line for line in done.stderr.splitlines() if line.strip(" ^~")]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "lesson/program.py", line 9, in <module>',
        "    build(tf.placeholder(tf.float32, [None, 3]))",
        '  File "lesson/program.py", line 6, in build',
        "    return part.product(x, tf.ones([4, 2]))",
        f'  File "{folder}/part.py", line 5, in product',
        "    return tf.matmul(a, b)",
        "ValueError: Dimensions must be equal, but are 3 and 4 in shapes (?, 3) and (4, 2).",
    ]


def test_a_program_that_plots_without_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    text = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.show()\nplt.savefig('a.png')\nprint('end')"
    )
    (tmp_path / "plot.py").write_text(text)
    done = command("plot.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end\n"
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert done.stderr.count("\n") == 1
    assert "there is no display, so matplotlib draws without windows" in done.stderr


def test_help_and_wrong_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_rnn.py").write_text("")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    runner.main(["--help"])
    assert capsys.readouterr().out == runner.USAGE
    errors = {
        (): "holdfast: no program is named.",
        ("--quick", "a.py"): "holdfast: there is no option --quick; options of the program come after it.",
        ("train_rn.py",): f"holdfast: There is no program train_rn.py; relative paths start at {tmp_path}. There are "
        "train_rnn.py.",
        (".",): "holdfast: . is a folder; expected a program, such as train.py.",
    }
    for arguments, message in errors.items():
        with pytest.raises(SystemExit) as end:
            runner.main(arguments)
        assert end.value.code == 2
        assert capsys.readouterr().err.splitlines()[0] == message


def test_a_program_for_python_2_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    advice = (
        "; expected Python 3. Convert it with `2to3 -w old.py` (a part of Python up to 3.12), or change the line.\n"
    )
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for text, feature in {
        "x = 1\nprint 'loss', x\n": "line 2 has the statement print",
        "try:\n    pass\nexcept ValueError, e:\n    pass\n": "line 3 has except X, e",
        "for i in range(3):\n    pass\nfor i in xrange(3):\n    pass\n": "line 3 has the name xrange",
    }.items():
        (tmp_path / "old.py").write_text(text)
        with pytest.raises(SystemExit) as end:
            runner.main(["old.py"])
        assert end.value.code == 2
        assert capsys.readouterr().err == f"holdfast: old.py is a program for Python 2 ({feature}){advice}"


def test_a_notebook_is_one_program(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        ("markdown", "# Title"),
        ("code", ["%matplotlib inline\n", "import tensorflow as tf\n", "!pip install tensorflow\n", "x = 3"]),
        ("code", "%%bash\nls"),
        ("code", "def f(v):\n    return ('%d'\n            % v)\nf(x)"),
        ("code", "y = tf.constant([x, 4]);\nx + 1;"),
    ]
    content = {"cells": [{"cell_type": kind, "source": source} for kind, source in cells], "nbformat": 4}
    ran = program(json.dumps(content), name="lesson.ipynb")
    printed = capsys.readouterr()
    assert printed.out == "'3'\n"
    assert printed.err == (
        "holdfast: skipped lines that only a notebook runs: cell 1: %matplotlib inline; "
        "cell 1: !pip install tensorflow; cell 2: %%bash\n"
    )
    assert ran.y.shape.as_list() == [2]
    content["cells"] = [{"cell_type": "code", "source": text} for text in ("import tensorflow as tf", "\ntf.relo")]
    with pytest.raises(AttributeError, match=r"tf.relo \(line 2 of lesson.ipynb, cell 2\)"):
        program(json.dumps(content), name="lesson.ipynb")


def test_the_shortest_session(program: Program) -> None:
    ran = program("""
        import tensorflow.compat.v1 as tf
        tf.disable_v2_behavior()
        with tf.Session() as sess:
            result = sess.run(tf.constant(2.0) * 3)
    """)
    assert ran.result == 6
