"""The form of a tagger of words for other software."""

from __future__ import annotations

from torch import nn

from holdfast.errors import ConversionError
from holdfast.layers.forms import LENGTHS, Form, Input, scored
from holdfast.tasks.tag.data import SentenceEncoder


def exports(encoder: SentenceEncoder, model: nn.Module, spelled: bool, streaming: bool) -> dict[str, Form]:
    """The form of a tagger of words.

    Args:
        encoder: Its vocabularies.
        model: The tagger.
        spelled: Whether it reads the spelling of words.
        streaming: Whether it is to go step by step.

    Raises:
        ConversionError: It is to stream.
    """
    if streaming:
        raise ConversionError(
            "The tagger reads words by their spelling, a sentence at once; the streaming form is for numbers. Write "
            "the whole model instead."
        )
    inputs = {"inputs": Input(("batch", "time"), "ids", len(encoder.words)), "lengths": LENGTHS}
    if spelled:
        inputs |= {
            "spellings": Input(("words", "letters"), "ids", len(encoder.characters)),
            "spelling_lengths": Input(("words",), "lengths", "letters"),
            "places": Input(("batch", "time"), "ids", "words"),
        }
    return {"": scored(model, inputs)}
