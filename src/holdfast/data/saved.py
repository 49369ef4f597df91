"""What was fitted, read back from a model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from holdfast.errors import ModelFileError

Json = dict[str, Any]
Result = TypeVar("Result")


def parsed(what: str, data: object, build: Callable[[], Result]) -> Result:
    """What ``build`` makes of saved data, with one error for data that does not fit."""
    try:
        return build()
    except ModelFileError:
        raise
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        keys = ", ".join(cast("dict[str, Any]", data)) if isinstance(data, Mapping) else type(data).__name__
        raise ModelFileError(
            f"The saved {what} does not fit ({type(error).__name__}: {error}); it holds: {keys}. "
            "The file is damaged, or another version wrote it."
        ) from error
