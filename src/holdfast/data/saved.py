"""The base of everything that is fitted on the training split and kept in a model file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Saved(BaseModel):
    """A frozen pydantic model: ``model_dump(mode="json")`` is its JSON in a model file, ``model_validate`` reads that.

    ``model_validate`` raises pydantic's ``ValidationError``; :func:`holdfast.tasks.model_file.load` makes a
    ``ModelFileError`` of it.
    """

    model_config = ConfigDict(frozen=True)
