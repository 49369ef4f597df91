"""What a model computes, in plain words: its parts, their sizes and numbers of weights, the equations of its cells."""

from __future__ import annotations

import math
import re
from html import escape
from textwrap import dedent

from holdfast.cells import NAMES, CellSpec, gru, lstm, rnn
from holdfast.layers.chain import Chain, special
from holdfast.layers.chain import parts as plain
from holdfast.tasks.interface import Answer, LabelsAnswer, NextAnswer, TagsAnswer, ValuesAnswer
from holdfast.tasks.served_parts import TextAnswer

_CELLS = {"rnn": rnn, "gru": gru, "lstm": lstm}
_HEADS = {
    "last_state": "the state after the last step",
    "last_output": "the output of the last step",
    "mean": "the mean of the outputs of all steps",
    "max": "the largest output of each unit over all steps",
}
_MERGES = {
    "concat": "both outputs side by side",
    "sum": "the sum of both outputs",
    "mean": "the mean of both outputs",
    "product": "the product of both outputs",
}
_FIXED = ("init", "forget_bias", "recurrent_dropout", "recurrent_dropout_mode", "weight_dropout")  # of training alone


def computation(chain: Chain, answer: Answer, total: int) -> str:
    """The whole text, as HTML.

    Args:
        chain: The model.
        answer: What its output means.
        total: Its number of weights; tensors that two parts share count once.
    """
    rows = [row for part in chain.parts for row in _rows(part)]
    lines = "".join(
        f'<tr><td>{escape(what)}</td><td class="count">{_count(weights)}</td></tr>' for what, weights in rows
    )
    cells = list(dict.fromkeys(_shown(spec) for part in _recurrent(chain) for spec in part.cells))
    return "\n".join(
        [
            f"<p>The model has {total:,} weights. It computes these parts, each from the result of the one above it. "
            f"The page then shows {escape(_answer(answer))}</p>",
            '<table><thead><tr><th>part</th><th class="count">weights</th></tr></thead>',
            f"<tbody>{lines}</tbody></table>",
            *cells,
        ]
    )


def equations(spec: CellSpec) -> str:
    """The lines of a cell's docstring that hold for it, and those of its options."""
    text = f"{_CELLS[spec.kind].__doc__}\n"
    blocks = [dedent(block) for block in re.findall(r"(?:^    \S.*\n)+", text, re.MULTILINE)]
    lines = blocks[0].splitlines()
    if spec.kind == "gru":
        other = "before the product" if spec.reset_after else "after the product"
        lines = [line for line in lines if other not in line]
    options = spec.changed_options()
    described = {line.split()[0]: line for block in blocks[1:] for line in block.splitlines()}
    chosen = [described[name] for name in described if name in options]
    others = [f"{name} = {value}" for name, value in options.items() if name not in described and name not in _FIXED]
    sizes = f"x: {_values(spec.input_size)}, h: {_values(spec.output_size)}"
    functions = ("φ", "σ", "ψ") if spec.output_activation else ("φ", "σ") if spec.kind != "rnn" else ("φ",)
    names = ", ".join(f"{letter} = {name}" for letter, name in zip(functions, spec.activations, strict=False))
    hidden = ("activation", "recurrent_activation", "output_activation", "reset_after")
    others = [line for line in others if line.split(" = ")[0] not in hidden]
    return "\n".join([*lines, "", f"{sizes}; {names}", *(["", *chosen, *others] if chosen or others else [])])


def _shown(spec: CellSpec) -> str:
    title = f"One step of the {NAMES[spec.kind]}: {_values(spec.input_size)} in, {spec.hidden_size} units"
    return f'<h3>{escape(title)}</h3>\n<pre tabindex="0">{escape(equations(spec))}</pre>'


def _values(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'}"


def _recurrent(chain: Chain) -> list[plain.Recurrent]:
    """The recurrent layers of a chain, also those inside another part."""
    inner = [each for part in chain.parts for each in (part, *part.inner)]
    return [part for part in inner if isinstance(part, plain.Recurrent)]


def _rows(part: plain.Part) -> list[tuple[str, int]]:
    """What a part does, and its number of weights: a row, or several for recurrent layers."""
    if isinstance(part, plain.Recurrent):
        return _layers(part)
    if isinstance(part, special.WordVectors):
        words = (f"A vector of {part.words.size} numbers for each of {part.words.tokens:,} words", _weights(part.words))
        if part.characters is None or part.spelling is None:
            return [words]
        letters = f"A vector of {part.characters.size} numbers for each of {part.characters.tokens:,} characters"
        spelled = [(f"Over the characters of each word: {what}", count) for what, count in _layers(part.spelling)]
        return [words, (letters, _weights(part.characters)), *spelled]
    return [(_words(part), _weights(part))]


def _words(part: plain.Part) -> str:
    """A part that is not made of layers, in words."""
    if isinstance(part, plain.Scaled):
        return {
            "none": "The numbers go in as they are",
            "unit": "Each pixel is divided by 255",
            "standard": "From each value, its mean in training is subtracted; the rest is divided by its deviation",
        }[part.scaling.kind]
    if isinstance(part, plain.Embedding):
        return f"A vector of {part.size} numbers for each of {part.tokens:,} tokens"
    if isinstance(part, plain.Linear):
        return f"A linear layer, y = W x{' + b' if part.bias else ''}: {_values(part.inputs)} in, {part.outputs} out"
    if isinstance(part, plain.Head):
        return f"One vector for the sequence: {_HEADS[part.kind]}"
    if isinstance(part, plain.LogSoftmax):
        return "The logarithms of probabilities: a log-softmax"
    if isinstance(part, plain.Restored):
        return "Times the deviation of the target, plus its mean: the units of the data"
    if isinstance(part, special.WindowScaling):
        return {
            "standard": "The window gets mean 0 and deviation 1; the forecast is scaled back",
            "last": "The last value of the window is subtracted, and added to the forecast again",
        }[part.kind]
    if isinstance(part, special.KnownAhead):
        return f"A small network for each row ahead, which also reads {part.known} values that are known of it"
    assert isinstance(part, special.Horizon)
    if part.recursive:
        return "Each row that is forecast is also the next row of the input, row by row"
    return f"The values are {part.rows} rows of a forecast, all at once"


def _layers(part: plain.Recurrent) -> list[tuple[str, int]]:
    """Each layer in words, with its number of weights."""
    if part.bidirectional:
        direction = f", forwards and backwards, {_MERGES[part.merge]}"
    else:
        direction = ", from the last step to the first" if part.reverse else ""
    rows = []
    for number, cell in enumerate(part.cells):
        added = ", plus its input" if part.residual and number else ""
        weights = sum(map(math.prod, cell.parameter_shapes().values())) * (1 + part.bidirectional)
        rows.append((f"{NAMES[cell.kind]} of {cell.hidden_size} units{direction}{added}", weights))
    return rows


def _weights(part: plain.Part) -> int:
    return sum(map(math.prod, part.tensor_shapes().values()))


def _count(weights: int) -> str:
    return f"{weights:,}" if weights else ""


def _answer(answer: Answer) -> str:
    """What is done with the result of the last part."""
    if isinstance(answer, LabelsAnswer):
        return (
            "the probability of each label: a sigmoid of each score."
            if answer.several
            else ("the probability of each label: the softmax of the scores.")
        )
    if isinstance(answer, TagsAnswer):
        how = "a sigmoid of the score" if len(answer.names) == 2 else "the softmax of the scores"
        return f"the probability of each tag at each step: {how}."
    if isinstance(answer, NextAnswer):
        return "the probability of each token as the next one: the softmax of the scores divided by the temperature."
    if isinstance(answer, ValuesAnswer):
        return "the numbers of each step." if answer.per_step else "these numbers."
    if isinstance(answer, TextAnswer):
        return "the text that is most likely, step by step."
    return "the forecast in the units of the series."
