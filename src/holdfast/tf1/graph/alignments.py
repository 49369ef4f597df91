"""Connectionist temporal classification: ``tf.nn.ctc_loss`` and the greedy decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import float32, int64
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.sparse_tensors import SparseTensor, as_sparse
from holdfast.tf1.graph.tensors import Tensor


@public("nn.ctc_loss")
def ctc_loss(
    labels: SparseTensor, inputs: Any = None, sequence_length: Any = None, preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True, ignore_longer_outputs_than_inputs: bool = False, time_major: bool = True,
    logits: Any = None,
) -> Tensor:  # fmt: skip
    """The negative log probability [B] of labels, summed over all alignments (Graves et al. 2006).

    Args:
        labels: A sparse tensor [B, longest label] of int32.
        inputs: Unnormalised log probabilities [T, B, K]; the last class is the blank.
        sequence_length: The steps of each row [B].
        preprocess_collapse_repeated: False.
        ctc_merge_repeated: True.
        ignore_longer_outputs_than_inputs: Whether a row without an alignment has the loss 0.
        time_major: Whether the inputs are [T, B, K], and not [B, T, K].
        logits: Another name of ``inputs``.

    Raises:
        NotImplementedError: Repeated labels are to be treated otherwise.
        TypeError: The labels are not a sparse tensor.
    """
    targets = as_sparse(labels, "ctc_loss")
    if preprocess_collapse_repeated or not ctc_merge_repeated:
        raise NotImplementedError("ctc_loss collapses repeated outputs, and no labels; expected the default of both.")
    x, lengths = convert_to_tensor(inputs if logits is None else logits), convert_to_tensor(sequence_length)

    def compute(
        places: torch.Tensor, values: torch.Tensor, sizes: torch.Tensor, scores: torch.Tensor, steps: torch.Tensor
    ) -> torch.Tensor:
        scores = scores if time_major else scores.transpose(0, 1)
        counts = torch.bincount(places[:, 0].long(), minlength=scores.shape[1])
        blank = scores.shape[2] - 1
        losses = F.ctc_loss(
            torch.log_softmax(scores, -1), values.long(), steps.long(), counts, blank, "none",
            zero_infinity=ignore_longer_outputs_than_inputs,
        )  # fmt: skip
        if not ignore_longer_outputs_than_inputs and not bool(losses.isfinite().all()):
            row = int((~losses.isfinite()).nonzero()[0])
            raise ValueError(
                f"Not enough time for the labels of row {row}: {int(counts[row])} in {int(steps[row])} steps"
            )
        return losses

    batch = (lengths.sizes or (None,))[0]
    return node("CTCLoss", compute, [*targets, x, lengths], float32, (batch,), "ctc_loss")


@public("nn.ctc_greedy_decoder")
def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: Any = None
) -> tuple[list[SparseTensor], Tensor]:
    """The most probable class of each step [T, B, K], without blanks (the last class) and repetitions.

    Returns:
        A list of one sparse tensor [B, longest], and the negative sum of the largest logits [B, 1].
    """
    x, lengths = convert_to_tensor(inputs), convert_to_tensor(sequence_length)

    def compute(scores: torch.Tensor, steps: torch.Tensor) -> Any:
        best, classes = scores.max(-1)
        blank = scores.shape[2] - 1 if blank_index is None else int(blank_index) % scores.shape[2]
        inside = torch.arange(len(scores)).unsqueeze(1) < steps
        kept = (classes != blank) & inside
        if merge_repeated:
            kept[1:] &= classes[1:] != classes[:-1]
        rows, times = kept.T.nonzero(as_tuple=True)
        counts = kept.sum(0)
        starts = torch.cumsum(counts, 0) - counts
        places = torch.stack([rows, torch.arange(len(rows)) - starts[rows]], 1)
        shape = torch.tensor([scores.shape[1], int(counts.max()) if len(counts) else 0])
        return places, classes.T[rows, times], shape, -(best * inside).sum(0, keepdim=False).unsqueeze(1)

    batch = (lengths.sizes or (None,))[0]
    places, values, shape, score = nodes(
        "CTCGreedyDecoder", compute, [x, lengths],
        [(int64, (None, 2)), (int64, (None,)), (int64, (2,)), (x.dtype, (batch, 1))], gradient=False,
    )  # fmt: skip
    return [SparseTensor(places, values, shape)], score
