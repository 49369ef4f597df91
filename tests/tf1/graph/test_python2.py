from __future__ import annotations

import ast

import pytest

from holdfast.tf1.graph.python2 import advice_for, syntax_in, unknown_name


@pytest.mark.parametrize(
    ("line", "feature"),
    [
        ("print 'a'", "the statement print"),
        ("    print x, y", "the statement print"),
        ("if x: print y", "the statement print"),
        ("except Exception, e:", "except X, e"),
        ("except (IOError, OSError), e:", "except X, e"),
        ("raise ValueError, 'bad'", "raise X, message"),
        ("exec 'x = 1'", "the statement exec"),
        ("if a <> b:", "the operator <>"),
        ("x = 0777", "an octal or long number"),
        ("x = 10L", "an octal or long number"),
        ("def f(a, (b, c)):", "parameters in parentheses"),
        ("y = sorted(x, key=lambda (k, v): v)", "parameters in parentheses"),
    ],
)
def test_lines_of_python_2(line: str, feature: str) -> None:
    assert syntax_in(line) == feature
    with pytest.raises(SyntaxError):
        compile(f"{line.strip()}\n", "a.py", "exec")


@pytest.mark.parametrize("line", ["x = (1", "print(x", "def f(:", "x = = 2", "for i in range(3)"])
def test_other_mistakes_are_left_to_python(line: str) -> None:
    assert syntax_in(line) is None
    with pytest.raises(SyntaxError) as error:
        compile(line, "a.py", "exec")
    assert advice_for(error.value) is None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\nfor i in xrange(3): pass", ("the name xrange", 2)),
        ("import sys\nprint >>sys.stderr, 1", ("the statement print", 2)),
        ("print >>f, 1\nprint(1 >> 2)", ("the statement print", 1)),
        ("name = raw_input()\ny = unicode(1)", ("the name raw_input", 1)),
        ("try:\n    xrange\nexcept NameError:\n    xrange = range\nxrange(3)", None),
        ("import sys\nif sys.version_info[0] == 2:\n    x = unicode('a')", None),
        ("from six.moves import xrange\nxrange(3)", None),
        ("from past.builtins import *\nxrange(3)", None),
        ("def xrange(n): return range(n)\nxrange(3)", None),
        ("def f(long): return long", None),
        ("reduce = 3\nprint(reduce)", None),
    ],
)
def test_names_of_python_2(source: str, found: tuple[str, int] | None) -> None:
    assert unknown_name(ast.parse(source), source) == found


def test_errors_while_a_program_runs() -> None:
    for text, feature in (
        ("{}.iteritems()", "iteritems"),
        ("'a'.decode('utf-8')", "decode"),
        ("unicode", "unicode"),
        ("import cPickle", "cPickle"),
    ):
        with pytest.raises((AttributeError, NameError, ImportError)) as error:
            exec(compile(f"\n{text}", "folder/old.py", "exec"), {})
        assert str(advice_for(error.value)).startswith(f"old.py is a program for Python 2 (line 2 has {feature});")
    with pytest.raises(NameError) as error:
        exec("nowhere", {})
    assert advice_for(error.value) is None


def test_tabs_and_spaces_mixed() -> None:
    with pytest.raises(TabError) as error:
        compile("if 1:\n        x = 1\n\ty = 2\n", "old.py", "exec")
    assert str(advice_for(error.value)).startswith(
        "old.py is a program for Python 2 (line 3 has tabs and spaces mixed)"
    )
