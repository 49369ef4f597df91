"""``python -m holdfast.tf1 PROGRAM [ARGS]``: a TensorFlow 1 program or notebook, run as it is."""

from __future__ import annotations
import __future__

import ast
import builtins
import difflib
import os
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from holdfast.errors import DataError, HoldfastError, MissingDataError
from holdfast.tf1.graph import imports, notebooks, old_libraries, python2, tracebacks

USAGE = """\
usage: python -m holdfast.tf1 PROGRAM.py|NOTEBOOK.ipynb [ARGS]

Runs a TensorFlow 1 program as it is: `import tensorflow` in it gives Holdfast's graphs and sessions. TensorFlow is not
needed. ARGS are the program's own. Of a notebook, the code cells run in order.

examples:
  python -m holdfast.tf1 rnn_mnist.py
  python -m holdfast.tf1 train.py --data_dir=data --batch_size 50
  python -m holdfast.tf1 lesson.ipynb

docs/tf1.md says what runs, and what to do about the rest.
"""
_FUTURES = 0
for _name in __future__.all_feature_names:
    _FUTURES |= getattr(__future__, _name).compiler_flag


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a program and lets its end be the end of the process.

    An error of the program prints the program's own lines and ends with exit status 1; a wrong command ends with 2.

    Args:
        arguments: The program and its arguments; None for those of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return
    if not given or given[0].startswith("-"):
        got = f"there is no option {given[0]}; options of the program come after it" if given else "no program is named"
        _stop(f"{got}.\n\n{USAGE}".rstrip())
    sys.excepthook = tracebacks.show
    try:
        code = read(Path(given[0]))
    except HoldfastError as error:
        _stop(str(error))
    run(code, given[0], given[1:])


def _stop(message: str) -> Any:
    print(f"holdfast: {message}", file=sys.stderr)
    sys.exit(2)


def read(path: Path) -> list[CodeType]:
    """The code of a program, in one piece, or of a notebook, in several.

    Raises:
        MissingDataError: There is no such file.
        DataError: It is neither Python nor a notebook, or it is for Python 2.
        SyntaxError: It is not Python of any version.
    """
    if not path.is_file():
        raise MissingDataError(_missing(path))
    if path.suffix == ".ipynb":
        return _of_a_notebook(path)
    try:
        with tokenize.open(path) as file:
            source = file.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not a Python program ({error}); expected UTF-8, or a line with its coding."
        ) from None
    return [_compiled(source, str(path))]


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder; expected a program, such as {path / 'train.py'}."
    folder = path.parent
    here = sorted(each.name for each in folder.glob("*") if each.suffix in (".py", ".ipynb")) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, here, 3, 0.5) or here[:5]
    hint = f" There are {', '.join(near)}." if near else ""
    return f"There is no program {path}; relative paths start at {Path.cwd()}.{hint}"


def _compiled(source: str, file: str) -> CodeType:
    try:
        tree = ast.parse(source, file)
        code: CodeType = compile(source, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        advice = python2.advice_for(error)
        if advice is None:
            raise
        raise DataError(advice) from None
    found = python2.unknown_name(tree, source)
    if found is not None:
        raise DataError(python2.sentence(file, found[1], found[0]))
    return code


def _of_a_notebook(path: Path) -> list[CodeType]:
    pieces: list[CodeType] = []
    flags, skipped = 0, []
    for cell in notebooks.read(path):
        try:
            new = notebooks.compiled(cell, flags)
        except SyntaxError as error:
            advice = python2.advice_for(error)
            if advice is None:
                raise
            raise DataError(advice) from None
        pieces += new
        skipped += [f"{cell.file.rsplit(', ', 1)[-1]}: {line}" for line in cell.skipped]
        for code in new:
            flags |= code.co_flags & _FUTURES
    if skipped:
        print(f"holdfast: skipped lines that only a notebook runs: {'; '.join(skipped)}", file=sys.stderr)
    return pieces


def run(code: Sequence[CodeType], path: str, arguments: Sequence[str]) -> ModuleType:
    """Runs code as ``__main__`` with ``import tensorflow`` from Holdfast, and returns that module.

    Args:
        code: From :func:`read`.
        path: The program's file as it was given.
        arguments: The program's own arguments.
    """
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins, __package__=None)
    sys.modules["__main__"] = module
    sys.argv = [path, *arguments]
    sys.path[0 : 0 if sys.flags.safe_path else 1] = [os.path.dirname(os.path.abspath(path))]
    imports.install()
    old_libraries.give_libraries_their_old_names()
    for piece in code:
        exec(piece, module.__dict__)
    return module
