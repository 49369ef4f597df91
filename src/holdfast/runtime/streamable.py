"""Which models a stream can compute."""

from __future__ import annotations

from holdfast.cells.options import NAMES
from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.own import Own
from holdfast.layers.chain.parts import Embedding, Head, Linear, LogSoftmax, Part, Recurrent, Restored, Scaled


class CannotStreamError(OptionError):
    """A model that is in order, and that a stream cannot compute."""


def check_streams(chain: Chain) -> None:
    """Refuses a chain that needs steps that have not come yet, or parts that a stream does not have.

    Raises:
        OptionError: It is one.
    """
    if any(part.reads_ids and not _is_table(part) for part in chain.parts):
        raise CannotStreamError(
            "The model reads texts; a stream takes numbers, or the tokens of a language model, step by step. Use "
            "`holdfast predict` or holdfast.Predictor for texts."
        )
    if own := chain.find(Own):
        raise CannotStreamError(
            f"The model has the {own.kind} {own.part_name!r}, which is no part of Holdfast. Only a program that "
            "registers it can run the model: use holdfast.Predictor."
        )
    order: list[type[Part] | tuple[type[Part], ...]] = [(Embedding, Scaled), Linear, Recurrent, Head, Linear]
    order.append((LogSoftmax, Restored))
    for part in chain.parts:
        while order and not isinstance(part, order[0]):
            del order[0]
        if not order:
            raise CannotStreamError(
                f"The model has the part {type(part).__name__} where a stream has none; expected at most a scaling or "
                "an embedding, a linear layer, recurrent layers, a head, a linear layer, and a softmax or a scaling of "
                "the output. Use holdfast.Predictor."
            )
        del order[0]
    layers, head = chain.recurrent, chain.find(Head)
    name = NAMES[layers.cells[0].kind]
    if layers.bidirectional:
        raise CannotStreamError(
            f"The {name} is bidirectional: its output depends on steps that have not come yet. "
            "A stream needs one with bidirectional=False."
        )
    if layers.reverse:
        raise CannotStreamError(
            f"The {name} runs in reverse: its first output depends on the last step. "
            "A stream needs one with reverse=False."
        )
    if head is not None and head.kind not in ("last_state", "last_output"):
        raise CannotStreamError(
            f"The model's head is {head.kind!r}, over all steps of a sequence; a stream gives the values of its last "
            "output, so it needs head = 'last_state' or 'last_output'."
        )


def _is_table(part: Part) -> bool:
    """Whether a part only looks up a vector for each id; with ``mask_zero``, some steps are no part of the sequence."""
    return isinstance(part, Embedding) and not part.mask_zero
