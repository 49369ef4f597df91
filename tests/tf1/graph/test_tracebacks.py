from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest

from holdfast.tf1.graph.tracebacks import shortened, show

Program = Callable[..., ModuleType]


def lines(program: Program, text: str) -> list[str]:
    """The traceback of a program that fails, without carets."""
    with pytest.raises(Exception) as error:  # noqa: PT011  (any error is the test's subject)
        program(text)
    trace = error.value.__traceback__
    while trace is not None and "conftest" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    assert trace is not None
    return [line for line in shortened(error.value, trace.tb_next).splitlines() if line.strip(" ^~")]


def test_an_error_in_a_run_has_the_line_of_the_run_and_of_the_operation(program: Program) -> None:
    found = lines(
        program,
        """
        import tensorflow as tf
        x = tf.placeholder(tf.float32)
        y = tf.matmul(x, x)
        with tf.Session() as sess:
            sess.run(y, {x: [[1., 2.]]})
    """,
    )
    assert found[:3] == ["Traceback (most recent call last):", '  File "program.py", line 6, in <module>',
                         "    sess.run(y, {x: [[1., 2.]]})"]  # fmt: skip
    assert found[3].startswith("InvalidArgumentError: MatMul MatMul (line 4 of program.py; inputs")
    assert len(found) == 4


def test_an_error_of_a_library_that_the_program_calls_is_whole(program: Program) -> None:
    found = lines(program, "import json\njson.loads('{')")
    files = [line.split('"')[1] for line in found if line.startswith("  File")]
    assert files[0] == "program.py"
    assert json.__file__ in files
    assert found[-1].startswith("json.decoder.JSONDecodeError: ")


def test_a_function_of_the_program_that_holdfast_calls_is_shown(program: Program) -> None:
    found = lines(
        program,
        """
        import tensorflow as tf
        class Cell(tf.nn.rnn_cell.RNNCell):
            state_size = output_size = 2
            def call(self, inputs, state):
                return 1 / 0, state
        tf.nn.dynamic_rnn(Cell(), tf.zeros([1, 2, 2]), dtype=tf.float32)
    """,
    )
    assert [line for line in found if line.startswith("  File")] == [
        '  File "program.py", line 7, in <module>', '  File "program.py", line 6, in call',
    ]  # fmt: skip
    assert found[-1] == "ZeroDivisionError: division by zero"


def test_what_the_program_raises_while_it_handles_another_error(program: Program) -> None:
    found = lines(
        program,
        """
        import tensorflow as tf
        try:
            tf.nothing
        except AttributeError as error:
            raise ValueError("mine") from error
    """,
    )
    assert sum(line.startswith("  File") for line in found) == 2
    assert "The above exception was the direct cause of the following exception:" in found
    assert found[-1] == "ValueError: mine"


def test_a_mistake_in_the_syntax_has_its_line_alone(program: Program) -> None:
    with pytest.raises(SyntaxError) as error:
        program("x = 1\ny = (2")
    found = shortened(error.value, error.value.__traceback__)
    assert found.splitlines()[-4:-2] == ['  File "program.py", line 2', "    y = (2"]
    assert found.endswith("SyntaxError: '(' was never closed\n")


def test_a_module_for_python_2_is_told_so(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    from pathlib import Path

    Path("helper.py").write_text("print 'old'\n")
    with pytest.raises(SyntaxError) as error:
        program("import helper")
    show(type(error.value), error.value, error.value.__traceback__)
    printed = capsys.readouterr().err
    assert printed.startswith("holdfast: helper.py is a program for Python 2 (line 1 has the statement print);")
    assert printed.count("\n") == 1
