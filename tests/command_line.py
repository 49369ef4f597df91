"""Calls of the command line within a test."""

import pytest

from holdfast.cli import main


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return stop.value.code, out, err
