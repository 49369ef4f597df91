"""The network of translation: an encoder, a decoder that starts from its state, and attention between them.

The decoder's layers never wait for the attention (Luong et al. 2015, without input feeding), so in training they run
over all target tokens in one call, and the attention answers all their outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.data.vocabulary import BEGIN, PADDING, UNKNOWN
from holdfast.errors import OptionError
from holdfast.layers import layer_state
from holdfast.layers.attention import Memory, make_attention
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.translate.settings import TranslateModel


@dataclass(frozen=True, eq=False)
class Decoding:
    """Where the decoder is: the state of N sentences with K hypotheses each.

    Attributes:
        recurrent: The decoder layers' state, of N * K rows; those of a sentence follow one another.
        memory: What the attention looks at, of N rows; None without attention.
        hypotheses: K.
    """

    recurrent: Any
    memory: Memory | None
    hypotheses: int = 1


class Translator(nn.Module):
    """Encoder, attention and decoder; also the :class:`holdfast.decoding.Decoder` of a search.

    With h_t the decoder's output and c_t the attention's context for it (Luong et al. 2015, equations 5 and 6)::

        r_t      = tanh(W [c_t; h_t] + b)
        scores_t = O r_t + o

    Without attention r_t is h_t, and all that the decoder knows of the source is its initial state.
    """

    def __init__(self, sources: int, targets: int, settings: TranslateModel) -> None:
        """Builds the network.

        Args:
            sources: Tokens of the source vocabulary.
            targets: Tokens of the target vocabulary.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option is unknown, or sizes do not fit one another.
        """
        super().__init__()
        width = settings.embedding_size
        self.dropout = nn.Dropout(settings.dropout)
        self.target_embedding = _embedding(targets, width)
        self.source_embedding = self.target_embedding if settings.tied == "all" else _embedding(sources, width)
        self.encoder = recurrent_layers(width, settings)
        directions = self.encoder.num_directions if settings.merge == "concat" else 1
        sizes = [settings.decoder_size or spec.hidden_size * directions for spec in self.encoder.specs]
        one_way = {"hidden_size": sizes if len(sizes) > 1 else sizes[0], "bidirectional": False}
        self.decoder = recurrent_layers(width, settings.model_copy(update=one_way))
        self.bridge = nn.ModuleDict()
        for number, (ours, theirs) in enumerate(zip(self.encoder.specs, self.decoder.specs, strict=True)):
            for part, size in ours.state_sizes.items():
                if size * directions != theirs.state_sizes[part]:
                    self.bridge[f"{part}{number}"] = nn.Linear(size * directions, theirs.state_sizes[part])
        read, memory = self.decoder.output_size, self.encoder.output_size
        self.attention = None
        if settings.attention != "none":
            self.attention = make_attention(settings.attention, read, memory)
            self.combine = nn.Linear(memory + read, width)
            read = width
        self.output = nn.Linear(read, targets)
        if settings.tied != "none":
            if read != width:
                raise OptionError(
                    f"model.tied without attention needs decoder outputs as wide as the embedding; got {read} and "
                    f"{width}. Set model.decoder_size = {width}, or use attention."
                )
            self.output.weight = self.target_embedding.weight

    def forward(
        self, sources: Tensor, lengths: Tensor | None, targets: Tensor, target_lengths: Tensor | None
    ) -> Tensor:
        """Scores every next token of known targets (teacher forcing).

        Args:
            sources: [B, S] ids.
            lengths: Tokens of each source, [B]; None when all have S.
            targets: [B, T] ids that the decoder reads: those to predict, one step late.
            target_lengths: Tokens of each target, [B]; None when all have T.

        Returns:
            The scores before softmax of the steps within the targets' lengths, row after row: [steps, V]. The padding
            is left out here, because this product is most of the work.
        """
        state = self.begin(sources, lengths)
        outputs, _ = self.decoder(self.dropout(self.target_embedding(targets)), state.recurrent, lengths=target_lengths)
        outputs = self._read(outputs, state.memory)
        if target_lengths is None:
            within = outputs.flatten(0, 1)
        else:
            within = outputs[torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]]
        scores: Tensor = self.output(self.dropout(within))
        return scores

    def begin(self, sources: Tensor, lengths: Tensor | None) -> Decoding:
        """Reads sources [B, S] and gives the decoder's initial state, of one hypothesis each."""
        outputs, state = self.encoder(self.dropout(self.source_embedding(sources)), lengths=lengths)
        memory = self.attention.prepare(outputs, lengths) if self.attention is not None else None
        return Decoding(self._initial(state, outputs), memory)

    def step(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """As :meth:`holdfast.decoding.Decoder.step`; padding, the unknown and the beginning never come."""
        embedded = self.target_embedding(tokens.flatten()[:, None])
        outputs, recurrent = self.decoder(embedded, state.recurrent)
        outputs = self._read(outputs.view(*tokens.shape, -1), state.memory)
        log_probabilities = torch.log_softmax(self.output(outputs), -1)
        log_probabilities[:, :, [PADDING, UNKNOWN, BEGIN]] = -torch.inf
        return log_probabilities, Decoding(recurrent, state.memory, tokens.shape[1])

    def select(self, state: Decoding, sentences: Tensor, hypotheses: Tensor) -> Decoding:
        """As :meth:`holdfast.decoding.Decoder.select`."""
        rows = (sentences[:, None] * state.hypotheses + hypotheses).flatten()
        memory = None if state.memory is None else state.memory.select(sentences)
        return Decoding(_picked(state.recurrent, rows), memory, hypotheses.shape[1])

    def _initial(self, state: Any, outputs: Tensor) -> Any:
        """The decoder's initial state: the encoder's final one, its directions merged as its outputs are.

        Where the decoder has another width, a linear layer of ``bridge`` is between them; else the values are copied.
        """
        encoder, count = self.encoder, self.encoder.num_directions
        each = layer_state.split(encoder.specs, count, state, outputs, True, outputs)
        states = []
        for number, spec in enumerate(encoder.specs):
            merged = []
            of_layer = zip(*each[number * count : (number + 1) * count], strict=True)
            for part, directions in zip(spec.state_sizes, of_layer, strict=True):
                final = encoder.merged(list(directions))
                name = f"{part}{number}"
                merged.append(self.bridge[name](final) if name in self.bridge else final)
            states.append(tuple(merged))
        return layer_state.join(self.decoder.specs, 1, states, lambda tensor: tensor)

    def _read(self, outputs: Tensor, memory: Memory | None) -> Tensor:
        """What the output layer reads, of the decoder's outputs [N, T, O]."""
        if self.attention is None or memory is None:
            return outputs
        context, _ = self.attention(outputs, memory)
        return torch.tanh(self.combine(torch.cat([context, outputs], -1)))


def _embedding(tokens: int, width: int) -> nn.Embedding:
    """Vectors of tokens, small enough to be the weights of an output layer too."""
    embedding = nn.Embedding(tokens, width)
    nn.init.uniform_(embedding.weight, -0.1, 0.1)
    return embedding


def _picked(state: Any, rows: Tensor) -> Any:
    """Rows of a recurrent state, whose tensors are [layers, B, size]."""
    if isinstance(state, Tensor):
        return state.index_select(1, rows)
    return tuple(_picked(part, rows) for part in state)
