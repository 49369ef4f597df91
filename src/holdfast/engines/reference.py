"""The reference engine: the maths of :mod:`holdfast.cells`, step by step, in torch's operations.

It has every dtype, device, option and order of derivative; the other engines are tested against it.
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast.cells import BoundCell
from holdfast.cells.nested_state import map_state
from holdfast.engines.request import Request, Result, result_dtype
from holdfast.engines.time_loop import SequenceCell, scan


def _unchanged(cell: SequenceCell) -> SequenceCell:
    return cell


class ReferenceEngine:
    """Runs everything, at the speed of a loop in Python.

    Args:
        around: Makes the cell that runs from the cell of a request, such as one that also keeps every state.
    """

    name = "reference"

    def __init__(self, around: Callable[[SequenceCell], SequenceCell] = _unchanged) -> None:
        self._around = around

    def why_not(self, request: Request) -> str | None:
        """None: there is nothing that the reference cannot run."""
        return None

    def run(self, request: Request) -> Result:
        """Runs the request through :func:`holdfast.engines.time_loop.scan`."""
        outputs, state, states = scan(
            self._around(BoundCell(request.spec, request.parameters, request.noise)),
            request.inputs.transpose(0, 1),
            request.state,
            request.lengths,
            reverse=request.reverse,
            return_states=request.return_states,
            memory=request.memory,
            segment=request.segment,
        )
        dtype = result_dtype(request)  # autocast leaves a sum with a float32 state in float32
        outputs, state = map_state(lambda part: part.to(dtype), (outputs, state))
        if states is not None:
            states = map_state(lambda part: part.to(dtype).transpose(0, 1), states)
        return Result(outputs.transpose(0, 1), state, states)
