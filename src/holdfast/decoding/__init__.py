"""Decoding: greedy search and beam search (here), CTC (``ctc``) and sampling (``sampling``)."""

from holdfast.decoding.search import Decoder, Hypothesis, beam_search, greedy

__all__ = ["Decoder", "Hypothesis", "beam_search", "greedy"]
