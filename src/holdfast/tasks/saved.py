"""What a model file says of a task, as a frozen pydantic model; every task has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class SavedTask(BaseModel):
    """Base of the models: each field has the name of an argument and attribute of the task.

    The alias of a field is its name in the file. Further entries of the file are for others to read.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())


@dataclass(frozen=True)
class Part:
    """Annotates a field whose value is read by ``from_dict`` and written by ``to_dict``.

    Args:
        read: Reads the value instead of ``from_dict`` of the field's class.
    """

    read: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The value itself passes; anything else is read."""
        read = self.read or source.from_dict
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, source) else read(value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.to_dict()),
        )
