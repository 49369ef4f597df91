"""The network of a translator: an encoder, a decoder that starts from its state, and attention between them.

The decoder's layers do not depend on the attention (Luong et al. 2015, without input feeding). In training they run
over all target tokens in one call, and the attention reads all their outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast.data.vocabulary import BEGIN, PADDING, UNKNOWN
from holdfast.errors import OptionError
from holdfast.layers import layer_state
from holdfast.layers.attention import Memory, make_attention
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Linear
from holdfast.layers.chain.special import Attention, Decoder
from holdfast.tasks.network import known_layers
from holdfast.tasks.one_step import OneStep, one_step, select_rows
from holdfast.tasks.translate.settings import TranslateModel


@dataclass(frozen=True, eq=False)
class Decoding:
    """The state of the decoder: N sentences with K hypotheses each.

    Attributes:
        recurrent: The state of the decoder layers, N * K rows; the rows of a sentence follow one another.
        memory: The memory of the attention, N rows; None without attention.
        hypotheses: K.
        steps: What computes the steps of the decoder layers; None for the layers themselves.
    """

    recurrent: Any
    memory: Memory | None
    hypotheses: int = 1
    steps: OneStep | None = None


class Translator(nn.Module):
    """Encoder, attention and decoder; also the :class:`holdfast.decoding.Decoder` of a search.

    With h_t the decoder's output and c_t the attention's context for it (Luong et al. 2015, equations 5 and 6)::

        r_t      = tanh(W [c_t; h_t] + b)
        scores_t = O r_t + o

    Without attention r_t is h_t, and the decoder knows the source only through its initial state.
    """

    def __init__(self, sources: int, targets: int, settings: TranslateModel) -> None:
        """Builds the network.

        Args:
            sources: Size of the source vocabulary.
            targets: Size of the target vocabulary.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option is unknown, or sizes do not fit each other.
        """
        super().__init__()
        width = settings.embedding_size
        self.dropout = nn.Dropout(settings.dropout)
        self.target_embedding = _embedding(targets, width)
        self.source_embedding = self.target_embedding if settings.tied == "all" else _embedding(sources, width)
        self.encoder = known_layers(width, settings)
        directions = self.encoder.num_directions if settings.merge == "concat" else 1
        sizes = [settings.decoder_size or spec.hidden_size * directions for spec in self.encoder.specs]
        one_way = {"hidden_size": sizes if len(sizes) > 1 else sizes[0], "bidirectional": False}
        self.decoder = known_layers(width, settings.model_copy(update=one_way))
        self.bridge = nn.ModuleDict()
        for number, (encoder_spec, decoder_spec) in enumerate(zip(self.encoder.specs, self.decoder.specs, strict=True)):
            for part, size in encoder_spec.state_sizes.items():
                if size * directions != decoder_spec.state_sizes[part]:
                    self.bridge[f"{part}{number}"] = nn.Linear(size * directions, decoder_spec.state_sizes[part])
        input_size, memory = self.decoder.output_size, self.encoder.output_size
        self.attention = None
        if settings.attention != "none":
            self.attention = make_attention(settings.attention, input_size, memory)
            self.combine = nn.Linear(memory + input_size, width)
            input_size = width
        self.output = nn.Linear(input_size, targets)
        if settings.tied != "none":
            if input_size != width:
                raise OptionError(
                    f"model.tied without attention needs decoder outputs as wide as the embedding; got {input_size} "
                    f"and {width}. Set model.decoder_size = {width}, or use attention."
                )
            self.output.weight = self.target_embedding.weight

    def forward(
        self, sources: Tensor, lengths: Tensor | None, targets: Tensor, target_lengths: Tensor | None
    ) -> Tensor:
        """Computes the scores of every next token of known targets (teacher forcing).

        Args:
            sources: [B, S] ids.
            lengths: Tokens of each source, [B]; None when all have S.
            targets: [B, T] ids that the decoder reads: the ids to predict, shifted by one step.
            target_lengths: Tokens of each target, [B]; None when all have T.

        Returns:
            The scores before softmax of the steps within the targets' lengths, row after row: [steps, V]. Padding is
            left out, because this product is most of the work.
        """
        state = self.begin(sources, lengths)
        outputs, _ = self.decoder(self.dropout(self.target_embedding(targets)), state.recurrent, lengths=target_lengths)
        outputs = self._attended(outputs, state.memory)
        if target_lengths is None:
            within = outputs.flatten(0, 1)
        else:
            within = outputs[torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]]
        scores: Tensor = self.output(self.dropout(within))
        return scores

    def chain(self) -> Chain:
        """The parts of the network."""
        bridge = tuple(Linear.of(f"bridge.{name}", layer) for name, layer in self.bridge.items())
        attention = None
        if self.attention is not None:
            sizes = self.attention.query_size, self.attention.memory_size
            attention = Attention("attention", self.attention.kind, *sizes, Linear.of("combine", self.combine))
        decoder = Decoder(
            Embedding.of("target_embedding", self.target_embedding),
            self.decoder.part("decoder"),
            bridge,
            attention,
            Linear.of("output", self.output),
        )
        source = Embedding.of("source_embedding", self.source_embedding)
        return Chain((source, self.encoder.part("encoder"), decoder))

    def begin(self, sources: Tensor, lengths: Tensor | None, hypotheses: int = 0, tokens: int = 0) -> Decoding:
        """Reads sources and returns the initial state of the decoder, with one hypothesis per source.

        Args:
            sources: [B, S] ids.
            lengths: Tokens of each source, [B]; None when all have S.
            hypotheses: For a search, the largest number of hypotheses per source. It continues from the latest state
                alone, so a stream may compute the steps. Without it, the layers do, from any state.
            tokens: For a search, the largest number of tokens.
        """
        outputs, state = self.encoder(self.dropout(self.source_embedding(sources)), lengths=lengths)
        memory = self.attention.prepare(outputs, lengths) if self.attention is not None else None
        rows = hypotheses * sources.shape[0]
        steps = one_step(self, "decoder", rows=rows, steps=tokens, embedding="target_embedding")
        return Decoding(self._initial(state, outputs), memory, steps=steps)

    def step(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """As :meth:`holdfast.decoding.Decoder.step`; padding, unknown and begin tokens have probability 0."""
        outputs, recurrent = (state.steps or self._decoded)(tokens.flatten()[:, None], state.recurrent)
        outputs = self._attended(outputs.view(*tokens.shape, -1), state.memory)
        log_probabilities = torch.log_softmax(self.output(outputs), -1)
        log_probabilities[:, :, [PADDING, UNKNOWN, BEGIN]] = -torch.inf
        return log_probabilities, Decoding(recurrent, state.memory, tokens.shape[1], state.steps)

    def _decoded(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The outputs of the decoder layers for tokens, and their state."""
        return cast(tuple[Tensor, Any], self.decoder(self.target_embedding(tokens), state))

    def select(self, state: Decoding, sentences: Tensor, hypotheses: Tensor) -> Decoding:
        """As :meth:`holdfast.decoding.Decoder.select`."""
        rows = (sentences[:, None] * state.hypotheses + hypotheses).flatten()
        memory = None if state.memory is None else state.memory.select(sentences)
        select = state.steps.select if state.steps else select_rows
        return Decoding(select(state.recurrent, rows), memory, hypotheses.shape[1], state.steps)

    def attended(self, sources: Tensor, lengths: Tensor | None, targets: Tensor) -> Tensor:
        """The weights of the attention at every step of known targets, [B, T, S].

        Args:
            sources: [B, S] ids.
            lengths: Tokens of each source, [B]; None when all have S.
            targets: [B, T] ids that the decoder reads, as for :meth:`forward`.

        Raises:
            OptionError: The network has no attention.
        """
        state = self.begin(sources, lengths)
        if self.attention is None or state.memory is None:
            raise OptionError('The model has no attention; train one with model.attention = "general".')
        outputs, _ = self._decoded(targets, state.recurrent)
        weights: Tensor = self.attention(outputs, state.memory)[1]
        return weights

    def _initial(self, state: Any, outputs: Tensor) -> Any:
        """The decoder's initial state: the final state of the encoder, with directions merged like its outputs.

        If the decoder has another width, a linear layer of ``bridge`` is between them; else the values are copied.
        """
        encoder, count = self.encoder, self.encoder.num_directions
        parts = layer_state.split(encoder.specs, count, state, outputs, True, outputs)
        states = []
        for number, spec in enumerate(encoder.specs):
            merged = []
            of_layer = zip(*parts[number * count : (number + 1) * count], strict=True)
            for part, directions in zip(spec.state_sizes, of_layer, strict=True):
                final = encoder.merged(list(directions))
                name = f"{part}{number}"
                merged.append(self.bridge[name](final) if name in self.bridge else final)
            states.append(tuple(merged))
        return layer_state.join(self.decoder.specs, 1, states, lambda tensor: tensor)

    def _attended(self, outputs: Tensor, memory: Memory | None) -> Tensor:
        """The input of the output layer, from the decoder's outputs [N, T, O]."""
        if self.attention is None or memory is None:
            return outputs
        context, _ = self.attention(outputs, memory)
        return torch.tanh(self.combine(torch.cat([context, outputs], -1)))


def _embedding(tokens: int, width: int) -> nn.Embedding:
    """An embedding whose values are small enough for the weights of an output layer."""
    embedding = nn.Embedding(tokens, width)
    nn.init.uniform_(embedding.weight, -0.1, 0.1)
    return embedding
