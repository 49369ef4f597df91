"""Messages that quote what files hold."""

from __future__ import annotations

import copy
import pickle

import pytest

from holdfast.errors import DataError, HoldfastError, MissingDataError, MissingLibraryError


@pytest.mark.parametrize("kind", [HoldfastError, DataError, MissingDataError, MissingLibraryError])
def test_a_message_is_one_line_whatever_it_quotes(kind: type[HoldfastError]) -> None:
    error = kind("a.csv holds 'one\ntwo\x1b[31m\0é 漢'; expected a number.")
    assert str(error) == r"a.csv holds 'one\ntwo\x1b[31m\x00é 漢'; expected a number."
    assert str(copy.copy(error)) == str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("kind", [HoldfastError, DataError, MissingDataError, MissingLibraryError])
def test_a_message_that_quotes_a_whole_file_loses_its_middle(kind: type[HoldfastError]) -> None:
    message = "begin " + "x" * 100_000 + " end"
    found = str(kind(message))
    assert found == f"{message[:950]} ... (98,110 characters more) ... {message[-950:]}"
    assert str(kind("x" * 2000)) == "x" * 2000
