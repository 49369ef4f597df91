"""What a model file says of a task, as a frozen pydantic model; every task has one."""

from __future__ import annotations

from pydantic import ConfigDict

from holdfast.data.saved import Saved


class SavedTask(Saved):
    """Base of the models: each field has the name of an argument and attribute of the task.

    The alias of a field is its name in the file. Further entries of the file are for others to read.
    """

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())
