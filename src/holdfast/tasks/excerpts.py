"""One example of a task, to look inside a model while it reads it."""

from __future__ import annotations

from typing import Any

from holdfast.errors import OptionError


class Excerpts:
    """One example, and the tokens that it consists of; a base of the tasks, which override what differs."""

    def excerpt(self, examples: Any, index: int, steps: int) -> Any:
        """One example, to look inside the model; of a text that is read as one long sequence, a part.

        Args:
            examples: As they were read.
            index: The number of the example, from 0; or of the part.
            steps: The largest number of steps of a part.

        Raises:
            OptionError: There is no such example.
        """
        return examples.subset([checked_example(index, len(examples))])

    @property
    def reads_tokens(self) -> bool:
        """Whether the network reads a token at each step, which :meth:`step_tokens` gives."""
        return False

    def step_tokens(self, example: Any) -> list[str] | None:
        """The token that the network reads at each step of an example; None where a step consists of numbers.

        Args:
            example: The result of :meth:`excerpt`.
        """
        return None


def checked_example(index: int, count: int) -> int:
    """The number of an example, from 0, if there is one.

    Raises:
        OptionError: There is no such example.
    """
    if not 0 <= index < count:
        raise OptionError(f"There is no example {index}; the data have the examples 0 to {count - 1}.")
    return index
